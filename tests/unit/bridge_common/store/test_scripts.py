"""The Lua scripts: each is used, says what it takes, and asks no client for the time."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import bridge_common
from bridge_common.store import lease_scripts, scripts

SCRIPTS = {
    name: text
    for module in (scripts, lease_scripts)
    for name, text in vars(module).items()
    if name.isupper() and not name.startswith("_") and name != "NOW"
}
ROOT = Path(bridge_common.__file__).parents[4]


def test_there_are_scripts() -> None:
    assert len(SCRIPTS) > 10


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_script_is_used(name: str) -> None:
    users = [*ROOT.glob("libs/*/src/**/*.py"), *ROOT.glob("services/*/src/**/*.py")]
    assert any(f"scripts.{name})" in path.read_text(encoding="utf-8") for path in users)


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_script_says_which_keys_it_takes(name: str) -> None:
    assert re.search(r"^-- KEYS \w+", SCRIPTS[name], re.MULTILINE)


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_key_comes_from_the_caller(name: str) -> None:
    """A key spelled in a script lies in another slot of a cluster."""
    for called in re.findall(r"redis\.call\((.*?)\)", SCRIPTS[name]):
        command, *rest = [part.strip() for part in called.split(",")]
        key = rest[1:] if command in ("'XINFO'", "'XGROUP'") else rest
        assert command == "'TIME'" or key[0].startswith("KEYS["), called


@pytest.mark.parametrize("name", SCRIPTS)
def test_brackets_and_blocks_are_closed(name: str) -> None:
    text = re.sub(r"--.*", "", SCRIPTS[name])
    assert text.count("(") == text.count(")")
    opened = len(re.findall(r"\b(?:then|do|function)\b", text))
    assert opened == len(re.findall(r"\bend\b", text))
