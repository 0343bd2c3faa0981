"""A small load test of transfers; `lab load --transfers` runs the large one."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.transfer_load import transfer_load
from tests.support.nightly import nightly

CALLS = 40


@nightly
@pytest.mark.timeout(120)
def test_every_call_ends_in_one_outcome(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("REDIS_URL", raising=False)
    code = transfer_load(CALLS, 10, tmp_path / "stack", json_path=tmp_path / "figures.json")
    output = "".join(capsys.readouterr())
    assert code == 0, output
    assert f"{CALLS} calls: redirected" in output
    assert "done connected" in output
