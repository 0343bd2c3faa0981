"""Installing the npm clients once, although several test processes may begin with it at the same moment."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support import npm_contract

# Two at a time collide as two `npm ci` in one folder do; each installation is counted.
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
    monkeypatch.setattr(npm_contract, "FOLDER", tmp_path)
    with ThreadPoolExecutor(2) as both:
        for installing in [both.submit(npm_contract.install) for _ in range(2)]:
            installing.result()
    assert (tmp_path / "installations").read_text() == "x\n"
