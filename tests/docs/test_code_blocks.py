"""Every example that users read is run."""

from __future__ import annotations

import asyncio
import contextlib
import doctest
import inspect
import io
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import redember
from tests.agent.llm_server import LlmServer
from tests.docs.blocks import ROOT, Block, blocks, pages
from tests.servers import RealServer

PYTHON = {"python", "py", "python3"}


@pytest.fixture
def reader(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, real_server: RealServer
) -> Iterator[Path]:
    """Where a reader would try things out: an empty directory and home, and a server at hand."""
    (tmp_path / "home").mkdir(exist_ok=True)
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    monkeypatch.setenv("REDEMBER_URL", f"redis://{real_server.address}/13")
    with real_server.client(db=13) as raw, LlmServer() as model:
        monkeypatch.setenv("OPENAI_API_KEY", "a-key")
        monkeypatch.setenv("OPENAI_BASE_URL", model.url)
        raw.flushdb()
        yield work
        raw.flushdb()


def runnable(path: Path) -> list[Block]:
    return [block for block in blocks(path.read_text()) if block.language in PYTHON]


def run(path: Path, block: Block, namespace: dict[str, Any]) -> None:
    """Run a block as a reader would: `await` works at its top level."""
    import ast

    source = "\n" * (block.line - 1) + block.code
    if block.code.lstrip().startswith(">>>"):
        parser = doctest.DocTestParser()
        test = parser.get_doctest(block.code, namespace, path.name, str(path), block.line - 1)
        runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS, verbose=False)
        report = io.StringIO()
        runner.run(test, out=report.write, clear_globs=False)
        namespace.update(test.globs)
        assert runner.failures == 0, report.getvalue()
        return
    code = compile(source, str(path), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    if code.co_flags & inspect.CO_COROUTINE:
        result = namespace["__runner__"].run(_awaited(code, namespace))
    else:
        result = eval(code, namespace)
    assert result is None


async def _awaited(code: Any, namespace: dict[str, Any]) -> Any:
    return await eval(code, namespace)


def test_there_are_pages_with_examples() -> None:
    """Else nothing would be tested here, and nobody would notice."""
    assert ROOT / "README.md" in pages()
    assert any(runnable(path) for path in pages())


@pytest.mark.usefixtures("reader")
@pytest.mark.parametrize("path", pages(), ids=lambda path: str(path.relative_to(ROOT)))
def test_the_examples_of_a_page_run_in_order(path: Path) -> None:
    with asyncio.Runner() as runner:
        namespace: dict[str, Any] = {"__name__": "__main__", "__runner__": runner}
        for block in runnable(path):
            if block.no_run:
                compile(block.code, str(path), "exec", flags=0x2000)  # top-level await allowed
                continue
            try:
                with contextlib.redirect_stdout(io.StringIO()):
                    run(path, block, namespace)
            except Exception as error:
                error.add_note(f"in the block at {path.relative_to(ROOT)}:{block.line}")
                raise


@pytest.mark.parametrize("path", pages(), ids=lambda path: str(path.relative_to(ROOT)))
def test_most_examples_are_not_excused(path: Path) -> None:
    found = runnable(path)
    excused = [block for block in found if block.no_run is not None]
    assert all(block.no_run for block in excused), "no-run needs a reason"
    assert len(excused) <= max(1, len(found) // 4)


@pytest.mark.parametrize("path", pages(), ids=lambda path: str(path.relative_to(ROOT)))
def test_links_between_pages_lead_somewhere(path: Path) -> None:
    import re

    text = re.sub(r"```.*?```", "", path.read_text(), flags=re.DOTALL)
    text = re.sub(r"`[^`\n]*`", "", text)
    for target in re.findall(r"\]\((?!https?:|mailto:)([^)#\s]+)", text):
        assert (path.parent / target).exists(), target
    for anchor in re.findall(r"\]\(#([^)\s]+)\)", text):
        headings = re.findall(r"^#+\s+(.*)$", path.read_text(), re.MULTILINE)
        slugs = {re.sub(r"[^\w\- ]", "", h.lower()).strip().replace(" ", "-") for h in headings}
        assert anchor in slugs, anchor


def documented() -> list[Any]:
    found = {}
    for name in redember.__all__:
        value = getattr(redember, name)
        if not inspect.isclass(value):
            continue
        found[name] = inspect.getdoc(value) or ""
        for member in vars(value):
            if not member.startswith("_"):
                text = inspect.getdoc(getattr(value, member)) or ""
                found[f"{name}.{member}"] = text
    for module in [m for name, m in sys.modules.items() if name.startswith("redember")]:
        found[module.__name__] = module.__doc__ or ""
    return [pytest.param(name, text, id=name) for name, text in found.items() if ">>>" in text]


@pytest.mark.usefixtures("reader")
@pytest.mark.parametrize(("name", "text"), documented())
def test_the_example_of_a_docstring_is_true(name: str, text: str) -> None:
    test = doctest.DocTestParser().get_doctest(text, {}, name, None, 0)
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS, verbose=False)
    report = io.StringIO()
    runner.run(test, out=report.write)
    assert runner.tries > 0
    assert runner.failures == 0, report.getvalue()


# A type that calls answer with is shown in the examples of those calls.
SHOWN_ELSEWHERE = {"MemoryInfo", "WriteResult", "RedemberError"}


@pytest.mark.parametrize("name", redember.__all__)
def test_every_public_class_has_an_example(name: str) -> None:
    value = getattr(redember, name)
    if not inspect.isclass(value) or name in SHOWN_ELSEWHERE or value.__module__ == "redember":
        return  # compiled classes have their examples in the manual
    text = inspect.getdoc(value) or ""
    twin = getattr(redember, name.removeprefix("Async"))
    assert ">>>" in text or ">>>" in (inspect.getdoc(twin) or ""), name
