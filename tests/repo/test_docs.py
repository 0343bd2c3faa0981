"""Documentation: links resolve, every page is in an index, decisions have a status, prose lines are short."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

LONGEST_LINE = 120
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_MODULE = re.compile(r"`((?:bridge_common|call_control|media_gateway|agent_relay|lab)(?:\.[a-z_]+)+)`")
_LOGGERS = {"call_control.audit"}
"""Names that pages use as loggers, not as modules."""
_STATUS = re.compile(r"^Status: (.+?)\n\n", re.MULTILINE | re.DOTALL)
_GENERATED = {"CHANGELOG.md", "docs/call-states.md", "bench/RESULTS.md"}


@pytest.fixture(scope="module")
def pages(tracked: list[Path]) -> list[Path]:
    return [path for path in tracked if path.suffix == ".md"]


def test_every_link_leads_to_a_file_and_a_heading(pages: list[Path], root: Path) -> None:
    broken = [f"{page.relative_to(root)}: {link}" for page in pages for link in _broken(page)]
    assert len(pages) > 40
    assert not broken


def test_a_broken_link_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# `GET /a/{b}`: Two words\n[a](page.md#get-ab-two-words) [b](#none) [c](none.md) [d](https://e.f)")
    assert list(_broken(page)) == ["#none", "none.md"]


def test_every_page_is_in_the_index(root: Path) -> None:
    index = (root / "docs/README.md").read_text(encoding="utf-8")
    linked = set(_LINK.findall(index))
    assert not {path.name for path in (root / "docs").glob("*.md")} - linked - {"README.md"}
    assert "adr/README.md" in linked


def test_every_decision_has_status_and_date_and_is_in_the_index_with_its_title(root: Path) -> None:
    folder = root / "docs/adr"
    index = (folder / "README.md").read_text(encoding="utf-8")
    found = sorted(folder.glob("[0-9]*.md"))
    assert len(found) > 25
    for path in found:
        text = path.read_text(encoding="utf-8")
        number, title = re.findall(r"\A# (\d+)\. (.+)$", text, re.MULTILINE)[0]
        assert path.name.startswith(f"{int(number):04}-")
        assert f"| [{number}]({path.name}) | {title} |" in index
        [status] = _STATUS.findall(text)
        assert re.search(r"\d{4}-\d\d-\d\d", status), path.name
        for other in re.findall(r"superseded by \[(\d+)\]", status):
            assert re.search(rf"^\| \[{number}\].*superseded by {other}", index, re.MULTILINE), path.name


def test_every_module_that_a_page_names_exists(pages: list[Path], root: Path) -> None:
    named = {
        (page.relative_to(root).as_posix(), name)
        for page in pages
        if page.name != "CHANGELOG.md"
        for name in set(_MODULE.findall(page.read_text(encoding="utf-8"))) - _LOGGERS
    }
    assert len(named) > 40
    assert not sorted((page, name) for page, name in named if not _exists(name))


def test_prose_lines_are_short(pages: list[Path], root: Path) -> None:
    long = [
        f"{name}:{number}"
        for page in pages
        if (name := page.relative_to(root).as_posix()) not in _GENERATED
        for number, line in _prose(page)
        if len(line) > LONGEST_LINE
    ]
    assert not long


def _exists(name: str) -> bool:
    """Whether the name is a module, or an attribute of one."""
    try:
        if find_spec(name) is not None:
            return True
    except ModuleNotFoundError:
        pass
    module, _, attribute = name.rpartition(".")
    try:
        return hasattr(import_module(module), attribute)
    except ModuleNotFoundError:
        return False


def _prose(page: Path) -> Iterator[tuple[int, str]]:
    """Return the lines that can be wrapped: no code, tables, images or generated parts."""
    code = generated = False
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        if line.startswith("```"):
            code = not code
        elif line.startswith("<!-- "):
            generated = not line.startswith("<!-- end")
        elif not code and not generated and not line.startswith(("|", "    ", "![")):
            yield number, line


def _broken(page: Path) -> Iterator[str]:
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for link in _LINK.findall(text):
        name, _, anchor = link.partition("#")
        if link.startswith(("http://", "https://", "mailto:")):
            continue
        target = page.parent / name if name else page
        if not target.exists() or (anchor and target.suffix == ".md" and anchor not in _anchors(target)):
            yield link


def _anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub generates for headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
