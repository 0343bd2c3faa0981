"""The Lua scripts: each is used, documents its keys, and builds no key itself."""

from __future__ import annotations

import re

import pytest

from bridge_common.redis.scripts import load_script
from tests.support.lua_scripts import FILES, ROOT, SCRIPTS


def test_scripts_are_found() -> None:
    assert len(SCRIPTS) > 25
    assert len({path.stem for path in FILES}) == len(FILES)


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_script_is_used(name: str) -> None:
    users = [*ROOT.glob("libs/*/src/**/*.py"), *ROOT.glob("services/*/src/**/*.py")]
    calls = (f'("{name}")', f'", "{name}")')
    assert any(call in path.read_text(encoding="utf-8") for path in users for call in calls)


def test_an_include_is_replaced_by_the_functions() -> None:
    script = load_script("bridge_common.store", "lease_claim")
    assert (
        script.index("local function now_ms()") < script.index("local function owners_first(") < script.index("-- KEYS")
    )
    assert "-- include" not in script


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_script_documents_its_keys(name: str) -> None:
    assert re.search(r"^-- KEYS \w+", SCRIPTS[name], re.MULTILINE)


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_key_comes_from_the_caller(name: str) -> None:
    """A key that a script builds itself may be in another slot of a cluster."""
    for called in re.findall(r"redis\.call\((.*?)\)", SCRIPTS[name]):
        command, *rest = [part.strip() for part in called.split(",")]
        key = rest[1:] if command in ("'XINFO'", "'XGROUP'") else rest
        # A function gets its key as the parameter `key`.
        assert command == "'TIME'" or key[0].startswith("KEYS[") or key[0] == "key", called


@pytest.mark.parametrize("name", SCRIPTS)
def test_brackets_and_blocks_are_balanced(name: str) -> None:
    text = re.sub(r"--.*|'[^'\n]*'", "", SCRIPTS[name])
    assert text.count("(") == text.count(")")
    opened = len(re.findall(r"\b(?:then|do|function)\b", text))
    assert opened == len(re.findall(r"\bend\b", text))
