"""A fault happens as many times as `times` states."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from lab.voice_live.injected_faults import VoiceLiveFaults


def test_a_fault_happens_so_many_times_or_always() -> None:
    faults = VoiceLiveFaults.model_validate({"handshake": {"status": 429, "times": 2}, "stall": {"after_ms": 0}})
    assert faults.handshake is not None
    assert faults.stall is not None
    assert [faults.handshake.take() for _ in range(3)] == [True, True, False]
    assert all(faults.stall.take() for _ in range(5))


@pytest.mark.parametrize(
    "bad",
    [{"typo": {}}, {"handshake": {}}, {"handshake": {"status": 200}}, {"drop": {"times": 0}}, {"close": {"code": 1}}],
)
def test_invalid_faults_are_refused(bad: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        VoiceLiveFaults.model_validate(bad)
