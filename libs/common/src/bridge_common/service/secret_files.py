"""Secrets as files: one file for each secret in the folder `SECRETS_DIR`, named like its variable, in any case, and
with `-` or `_`, because names in Azure Key Vault contain no underscore.

Kubernetes and the Secrets Store CSI driver mount a folder whose files are links into another folder. That folder is
named by the link `..data`, which is replaced when a secret changes, so all files change at the same time.
"""

from __future__ import annotations

import os
from collections import ChainMap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, get_args

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from bridge_common.base.errors import InputError
from bridge_common.service.setting_input import read_setting_file

MOST_BYTES: Final = 64 * 1024
_DATA: Final = "..data"
_ATTEMPTS: Final = 10
"""Attempts to read all files before a change of the folder."""


class Reloaded:
    """Marks a secret, in its annotation, that is read again while the process runs."""


RELOADED: Final = Reloaded()


@dataclass(frozen=True, slots=True)
class SecretFiles:
    """The content of the folder, by setting: the name in lower case with underscores."""

    paths: Mapping[str, Path] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict, repr=False)
    faults: Mapping[str, str] = field(default_factory=dict)
    """Faults of files that cannot be used; `secrets_dir`: of the folder."""

    def label(self, name: str) -> str:
        """Return the variable of a setting and, if it has one, its file."""
        path = self.paths.get(name)
        return name.upper() if path is None else f"{name.upper()} ({path})"


def is_secret(annotation: Any) -> bool:
    return annotation is SecretStr or SecretStr in get_args(annotation)


def secret_names(fields: Mapping[str, FieldInfo]) -> frozenset[str]:
    """Return the settings that are secrets: only these are read from files. Other systems mount folders with files such
    as `host` and `port`.
    """
    return frozenset(name for name, field in fields.items() if is_secret(field.annotation))


def reloaded_names(fields: Mapping[str, FieldInfo]) -> frozenset[str]:
    return frozenset(name for name, field in fields.items() if RELOADED in field.metadata)


def read_secret_files(folder: str | Path | None) -> SecretFiles:
    """Read all files of the folder as of one moment. Blocking. Without a folder the result is empty."""
    if folder is None or folder == "":
        return SecretFiles()
    found = SecretFiles()
    for _ in range(_ATTEMPTS):
        linked = _linked(Path(folder))
        found = _read(Path(folder), linked)
        if _linked(Path(folder)) == linked:
            break
    return found


def environment(folder: str | Path | None) -> Mapping[str, str]:
    """Return the environment variables, with the files of the folder before them. For secrets that profiles name."""
    files = read_secret_files(folder)
    return ChainMap({name.upper(): text for name, text in files.texts.items()}, dict(os.environ))


def _linked(folder: Path) -> str:
    """Return the target of the link `..data`, "" if there is none."""
    try:
        return os.readlink(folder / _DATA)
    except (OSError, ValueError):
        return ""


def _read(folder: Path, linked: str) -> SecretFiles:
    source = folder / linked if linked else folder
    try:
        names = sorted(_visible(source))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        return SecretFiles(faults={"secrets_dir": f"{folder} cannot be read: {reason}; mount the folder or unset it"})
    paths: dict[str, Path] = {}
    texts: dict[str, str] = {}
    faults: dict[str, str] = {}
    for written in names:
        name = written.lower().replace("-", "_")
        if name in paths:
            faults[name] = f"the files {paths[name].name} and {written} have the same secret; remove one"
            continue
        paths[name] = folder / written
        try:
            texts[name] = _text(source / written)
        except InputError as error:
            faults[name] = error.message
    return SecretFiles(paths, {name: text for name, text in texts.items() if name not in faults}, faults)


def _visible(folder: Path) -> Iterator[str]:
    with os.scandir(folder) as entries:
        yield from (entry.name for entry in entries if not entry.name.startswith("."))


def _text(path: Path) -> str:
    """Return the secret without spaces and line ends around it. Raises `InputError`, without the secret."""
    try:
        # Editors on Windows begin a file with a byte order mark.
        text = read_setting_file(path, MOST_BYTES).decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        raise InputError("is not valid UTF-8; write the secret as text") from None
    if not text:
        raise InputError("is empty; write the secret into the file, or remove the file")
    if not text.isprintable():
        raise InputError("contains a line break or another control character; separate keys with commas")
    return text
