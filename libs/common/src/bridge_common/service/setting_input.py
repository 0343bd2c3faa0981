"""Files whose paths are in settings."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from bridge_common.base.errors import InputError


def read_setting_file(path: Path, most_bytes: int) -> bytes:
    """Read a regular file. Other files are rejected, because reading a device or a pipe might never end.

    Raises `InputError`, whose message does not repeat the path.
    """
    try:
        # Without O_NONBLOCK, opening a pipe waits for a writer.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise InputError("cannot be read: it is not a regular file")
            content = file.read(most_bytes + 1)
    except (OSError, ValueError) as error:
        # `ValueError`: a null character in the path.
        raise InputError(f"cannot be read: {getattr(error, 'strerror', None) or error}") from error
    if len(content) > most_bytes:
        raise InputError(f"cannot be read: it has more than {most_bytes} bytes")
    return content
