from __future__ import annotations

from bench.frame_codecs import measure
from libs.common.hatch_build import why_not


def test_every_step_is_timed() -> None:
    (table,) = measure(repeats=1)
    assert len(table.rows) == (13 if why_not() else 14)
    assert all(isinstance(us, float) and us > 0 for _, us in table.rows)
