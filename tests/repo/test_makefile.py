"""`make help` lists every target, and `make test` runs every part."""

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
    lines = [line for line in answer.stdout.splitlines() if line]
    groups = [line for line in lines if not line.startswith("  ")]
    assert groups == ["Start:", "Run:", "Check:", "Test:", "Measure:", "Ship:"]
    listed = {line.split()[0]: line for line in lines if line not in groups}
    assert set(listed) == targets
    assert all(len(line.split()) > 2 for line in listed.values()), "a target without a description"


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


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
@pytest.mark.parametrize("failing", ["", "style", "types prose"])
def test_make_check_runs_every_check_and_names_those_that_failed(failing: str, root: Path, tmp_path: Path) -> None:
    check, log = tmp_path / "check", tmp_path / "ran"
    check.write_text(f'#!/bin/sh\necho "$1" >> {log}\ncase " {failing} " in *" $1 "*) exit 2;; esac\n')
    command = ["make", "-o", "install", "check", f"MAKE=sh {check}"]
    answer = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert log.read_text().split() == ["style", "types", "contracts", "prose"]
    assert (answer.returncode != 0) is bool(failing)
    assert (f"make check: failed: {failing}\n" in answer.stderr) is bool(failing)


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_another_python_than_that_of_the_environment_is_refused(root: Path, tmp_path: Path) -> None:
    """Without the error, the option would be ignored silently."""
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho 3.99.0\n")
    python.chmod(0o755)
    command = ["make", "-o", ".venv/.installed", "install", f"PYTHON={python}"]
    answer = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert answer.returncode != 0
    assert "is 3.99.0. To replace it: make clean install" in answer.stderr


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
@pytest.mark.parametrize("stamp", ["-o", "-W"], ids=["installed", "new"])
def test_an_invalid_python_is_named(stamp: str, root: Path) -> None:
    """The error appears both with an existing environment and before one is created."""
    changed = ".venv/.installed" if stamp == "-o" else "requirements/dev.txt"
    command = ["make", stamp, changed, "install", "PYTHON=/nope"]
    answer = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert answer.returncode != 0
    assert answer.stderr.startswith("PYTHON=/nope cannot be run: set PYTHON to an interpreter")
    assert ".venv has" not in answer.stderr


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
@pytest.mark.parametrize("code", [0, 3])
def test_a_slow_step_shows_that_it_runs_and_how_it_ended(code: int, root: Path, tmp_path: Path) -> None:
    found = re.search(r"^slow = .*?[^\\]$", (root / "Makefile").read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert found
    recipe = f"\t$(call slow,Waiting (a while),{{ sleep 3; echo reason >&2; (exit {code}); }})\n\t@echo next\n"
    (tmp_path / "Makefile").write_text(f"SHELL := /bin/bash\n{found.group()}\nall:\n{recipe}")
    answer = subprocess.run(["make", "--no-print-directory"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert answer.stdout.startswith("Waiting (a while) .")
    assert "reason" in answer.stderr
    assert ("next" in answer.stdout) is (answer.returncode == 0) is (code == 0)


def test_slow_steps_show_that_they_are_running(root: Path) -> None:
    makefile = (root / "Makefile").read_text(encoding="utf-8")
    slow = re.findall(
        r"(?:[^\n]*\\\n)?[^\n]*-m (?:pip install [^\n]*-r|pip install [^\n]*-e|pip wheel|venv)[^\n]*", makefile
    )
    assert len(slow) == 10
    assert all("$(call slow," in step for step in slow), slow
