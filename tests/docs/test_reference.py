"""The reference is what the docstrings say."""

from __future__ import annotations

import re
import subprocess
import sys

import redember
from tests.docs.blocks import ROOT


def test_the_reference_is_up_to_date() -> None:
    script = ROOT / "scripts" / "api-reference"
    ended = subprocess.run(
        [sys.executable, str(script), "--check"], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr


def section(name: str) -> str:
    text = (ROOT / "docs" / "reference.md").read_text()
    return text.partition(f"\n## {name}\n")[2].partition("\n## ")[0]


def test_compiled_classes_have_the_words_of_their_stub() -> None:
    """Python itself knows neither their words nor their types."""
    text = (ROOT / "docs" / "reference.md").read_text()
    assert "staticmethod(function)" not in text
    message = section("Message")
    assert "`Message(role: str, content: Any = None, *, tool_calls:" in message
    assert "`user(content: Any, **extra: Any) -> Message`\n\nMake a message of the user." in message
    assert "### Message.role\n\nWho speaks;" in message
    assert "- `role`: Who speaks" in message
    for name, fields in (
        ("WriteResult", ["revision: int", "count: int", "replayed: bool"]),
        ("MemoryInfo", ["messages: int", "ttl: timedelta | None", "layout: str"]),
    ):
        for field in fields:
            assert f"`{field}`" in section(name)
            assert f"- `{field.partition(':')[0]}`: " in section(name)


def test_names_in_signatures_say_what_they_are() -> None:
    text = (ROOT / "docs" / "reference.md").read_text()
    types = section("Types in signatures")
    for name in ("Credentials", "Duration", "RedisClient", "Reply", "Verbs"):
        assert f"- `{name}`" in types
    assert "`Duration`, `timedelta | float | str`: A time span" in types
    shapes = "\n".join(re.findall(r"^`\w+\(.*\).*`$", text, re.MULTILINE))
    named = set(re.findall(r"\b[A-Z]\w+", re.sub(r"'[^']*'", "", shapes)))
    known = {"Any", "Callable", "False", "Generator", "Iterable", "Iterator", "Literal", "Mapping"}
    known |= {"None", "PathLike", "Self", "Sequence", "True"}
    unknown = [
        one for one in named - known if f"`{one}`" not in types and f"## {one}\n" not in text
    ]
    assert unknown == []


def test_every_public_name_is_in_it() -> None:
    text = (ROOT / "docs" / "reference.md").read_text()
    for name in {*redember.__all__} - {"errors", "__version__", "RedemberError"}:
        assert f"\n## {name}\n" in text, name
    for name in redember.errors.__all__:
        assert f"\n### {name}\n" in text, name
