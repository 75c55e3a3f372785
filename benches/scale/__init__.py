"""How cost grows: with the length of a history, with memories, with clients, with a cluster.

`python -m benches.scale` measures as far as one machine goes, and writes `docs/scale.md`, together
with what `model` makes of it for installations that no single machine can hold.
"""
