"""No file contains the address of a package registry or a path of one machine, so that the project can be installed
from any clone.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

# Concatenated from two strings, so that this file does not contain them.
_REGISTRIES = (
    ("pypi", "org"),
    ("pythonhosted", "org"),
    ("registry.npmjs", "org"),
    ("registry.npmjs", "com"),
    ("registry.yarnpkg", "com"),
    ("npmmirror", "com"),
    ("proxy.golang", "org"),
)
ADDRESS = re.compile(
    "|".join(
        [
            *(re.escape(".".join(parts)) for parts in _REGISTRIES),
            r"\b(?:extra-)?index[-]url\b",
            r"\bfind[-]links\b",
            r"\bPIP_(?:EXTRA_)?INDEX_URL\b",
            r'"resolved"\s*:\s*"(?:https?|file):',
        ]
    ),
    re.IGNORECASE,
)
MACHINE_PATH = re.compile(r"(?<![\w./~-])/(?:work|home|Users|root)/[\w.-]+")


def test_no_file_names_a_registry(tracked: list[Path], root: Path) -> None:
    assert not _found(ADDRESS, tracked, root)


def test_no_file_names_a_folder_of_one_machine(tracked: list[Path], root: Path) -> None:
    assert not _found(MACHINE_PATH, tracked, root)


@pytest.mark.parametrize(
    "text",
    [
        "--extra-" + "index" + "-url https://example.com/simple",
        '"resolved"' + ': "https://example.com/a.tgz"',
        "https://files.python" + "hosted.org/packages/a.whl",
    ],
)
def test_an_address_is_seen(text: str) -> None:
    assert ADDRESS.search(text)


def test_a_machine_path_is_seen() -> None:
    assert MACHINE_PATH.search("cd " + "/ho" + "me/someone/project")
    assert not MACHINE_PATH.search("https://example.com/" + "home/page and ./" + "work/x")


def _found(pattern: re.Pattern[str], files: list[Path], root: Path) -> list[str]:
    found = []
    for path in files:
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        for number, line in enumerate(text.splitlines(), 1):
            if match := pattern.search(line):
                found.append(f"{path.relative_to(root)}:{number} {match.group()}")
    return found
