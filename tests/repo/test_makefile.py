"""`make help` is where people look first: it lists every target."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_make_help_lists_every_target(root: Path) -> None:
    makefile = (root / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z][a-z0-9-]*):(?!=)", makefile, re.MULTILINE))
    assert {"demo", "up", "down", "test", "check", "bench", "load"} <= targets
    answer = subprocess.run(
        ["make", "-s", "--no-print-directory", "help"], cwd=root, capture_output=True, text=True, check=True
    )
    listed = {line.split()[0]: line for line in answer.stdout.splitlines() if line.strip()}
    assert set(listed) == targets
    assert all(len(line.split()) > 2 for line in listed.values()), "a target without a word of explanation"


def test_targets_that_are_no_files_are_phony(root: Path) -> None:
    makefile = (root / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z][a-z0-9-]*):(?!=)", makefile, re.MULTILINE))
    phony = {name for line in re.findall(r"^\.PHONY:(.*)$", makefile, re.MULTILINE) for name in line.split()}
    assert targets <= phony


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
@pytest.mark.parametrize("failing", ["", "check", "compiled", "unit", "integration e2e"])
def test_make_test_runs_every_part_and_lists_those_that_failed(failing: str, root: Path, tmp_path: Path) -> None:
    part, log = tmp_path / "part", tmp_path / "ran"
    part.write_text(f'#!/bin/sh\necho "$@" >> {log}\ncase " {failing} " in *" ${{@: -1}} "*) exit 2;; esac\n')
    part.chmod(0o755)
    command = ["make", "-o", "install", "test", f"MAKE=bash {part}"]
    answer = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    ran = [line.split()[-1] for line in log.read_text().splitlines()]
    assert sorted(ran) == ["check", "compiled", "e2e", "integration", "unit"]
    assert ran[2:] == ["unit", "integration", "e2e"], "only what needs both cores runs side by side"
    assert (answer.returncode != 0) is bool(failing)
    assert ("make test: failed: " + failing in answer.stderr) is bool(failing)
