"""The npm clients are installed once, although several test processes may request it at the same time."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.npm_contract import install

# Two at a time fail, as two `npm ci` in one folder do; each installation is counted.
NPM = """#!/bin/sh
mkdir busy || exit 1
sleep 0.2
rmdir busy
mkdir -p node_modules && touch node_modules/.package-lock.json
echo x >> installations
"""


def test_two_processes_install_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "npm").write_text(NPM)
    (tmp_path / "npm").chmod(0o755)
    (tmp_path / "package-lock.json").write_text("{}")
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    with ThreadPoolExecutor(2) as both:
        for installing in [both.submit(install, tmp_path) for _ in range(2)]:
            installing.result()
    assert (tmp_path / "installations").read_text() == "x\n"
