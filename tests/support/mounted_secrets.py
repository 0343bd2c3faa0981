"""A folder of secrets as the kubelet mounts it: links through `..data`, which is replaced when a secret changes."""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Mapping
from pathlib import Path


class MountedSecrets:
    """`write` replaces all files at once, like the kubelet's AtomicWriter: it writes a new folder, renames a link over
    `..data`, and removes the previous folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._number = itertools.count()
        self._files: dict[str, bytes] = {}
        folder.mkdir(exist_ok=True)

    def write(self, files: Mapping[str, str | bytes]) -> None:
        """Mount exactly these files. Text gets a line end, as `echo` and editors write it."""
        self._files = {
            name: content if isinstance(content, bytes) else f"{content}\n".encode() for name, content in files.items()
        }
        data = self.folder / "..data"
        before = os.readlink(data) if data.is_symlink() else ""
        written = self.folder / f"..{next(self._number)}"
        written.mkdir()
        for name, content in self._files.items():
            (written / name).write_bytes(content)
        link = self.folder / "..data_tmp"
        link.symlink_to(written.name)
        link.replace(data)
        for name in self._files:
            if not (self.folder / name).is_symlink():
                (self.folder / name).symlink_to(f"..data/{name}")
        for path in self.folder.iterdir():
            if not path.name.startswith("..") and path.name not in self._files:
                path.unlink()
        if before:
            shutil.rmtree(self.folder / before)

    def change(self, **contents: str) -> None:
        """Replace the content of some files. Names with `_` for `-`."""
        names = {name.lower().replace("-", "_"): name for name in self._files}
        new = {names.get(name, name): f"{content}\n".encode() for name, content in contents.items()}
        self.write(self._files | new)

    def remove(self, *names: str) -> None:
        self.write({name: content for name, content in self._files.items() if name not in names})
