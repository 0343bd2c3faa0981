from __future__ import annotations

from pathlib import Path

import pytest

from bridge_common.base.errors import InputError
from bridge_common.service.setting_input import read_setting_file


def test_a_file_is_read_up_to_its_limit(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"12345")
    assert read_setting_file(path, 5) == b"12345"
    with pytest.raises(InputError, match="more than 4 bytes"):
        read_setting_file(path, 4)


@pytest.mark.parametrize(("path", "why"), [("/dev/zero", "not a regular file"), ("/", "."), ("/x\0", "null")])
def test_what_is_no_file_is_refused(path: str, why: str) -> None:
    with pytest.raises(InputError, match=why):
        read_setting_file(Path(path), 10)
