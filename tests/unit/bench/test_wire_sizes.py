from __future__ import annotations

import pytest

from bench.wire_sizes import WireSizes


def test_sizes_are_those_of_base64_and_a_little_more() -> None:
    found = WireSizes.of_recording()
    assert found.acs_in_kb == pytest.approx(32 * 4 / 3, rel=0.25)
    assert found.acs_out_kb == pytest.approx(32 * 4 / 3, rel=0.1)
    assert found.voice_out_kb == pytest.approx(48 * 4 / 3, rel=0.05)
    assert found.voice_in_kb == pytest.approx(48 * 4 / 3, rel=0.02)
