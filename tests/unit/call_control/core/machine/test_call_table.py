from __future__ import annotations

from call_control.core.machine.call_events import EventKind
from call_control.core.machine.call_table import TABLE


def test_every_kind_has_a_row_and_no_row_is_hidden() -> None:
    assert {row.on for row in TABLE} == set(EventKind)
    open_ended = set()
    for row in TABLE:
        assert (row.at, row.on) not in open_ended, f"{row.at} on {row.on}: hidden by an earlier row without a guard"
        if row.when is None:
            open_ended.add((row.at, row.on))
