"""The address of the API server, and the files of the service account."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge_common.base.errors import OutsideError
from call_control.kubernetes.pod_api import ApiServer


@pytest.mark.parametrize(("host", "url"), [("10.0.0.1", "https://10.0.0.1:443"), ("fd00::1", "https://[fd00::1]:443")])
def test_the_host_may_be_an_ipv6_address(host: str, url: str) -> None:
    assert ApiServer(host, 443, Path("/nowhere")).url == url


async def test_without_its_files_there_is_no_session(tmp_path: Path) -> None:
    with pytest.raises(OutsideError, match=r"the files of the service account in .* cannot be used") as missing:
        async with ApiServer("127.0.0.1", 443, tmp_path).session():
            pass
    assert missing.value.retry
