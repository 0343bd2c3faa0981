"""The latest commits follow the rules of CONTRIBUTING.md."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

LATEST = 20
LONGEST_SUBJECT = 72


def test_subjects_of_the_latest_commits_are_short(root: Path) -> None:
    """In a shallow clone these are fewer commits. Merge commits get their subject from the server."""
    command = ["git", "log", "--no-merges", f"-{LATEST}", "--format=%h %s"]
    answer = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    if answer.returncode:
        pytest.skip("not a git repository")
    commits = [line.partition(" ") for line in answer.stdout.splitlines()]
    too_long = [f"{commit} {subject}" for commit, _, subject in commits if len(subject) > LONGEST_SUBJECT]
    assert not too_long, f"shorten these subjects to {LONGEST_SUBJECT} characters with `git rebase -i` (reword)"
