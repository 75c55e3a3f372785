"""Real servers in every arrangement that users run: TLS, Sentinel, Cluster.

Each is a context manager on free ports in a directory of the caller's, and ends what it started by
its own handle, also when starting it failed half way.
"""

from tests.topologies.certificates import Certificate, Certificates
from tests.topologies.cluster import Cluster
from tests.topologies.node import Node
from tests.topologies.sentinels import Sentinels
from tests.topologies.tls import TlsServer

__all__ = [
    "Certificate",
    "Certificates",
    "Cluster",
    "Node",
    "Sentinels",
    "TlsServer",
]
