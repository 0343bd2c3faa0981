from __future__ import annotations

from bench.playout import measure


def test_every_step_is_timed() -> None:
    (table,) = measure(repeats=1)
    assert len(table.rows) == 3
    assert all(isinstance(us, float) and us > 0 for _, us in table.rows)
