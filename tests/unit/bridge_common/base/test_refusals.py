"""Commands that Redis rejects permanently are a fault of the process."""

from __future__ import annotations

from bridge_common.base.errors import OutsideError
from bridge_common.base.refusals import Fault, Refusals

REFUSED = OutsideError("NOPERM", retry=False)
AWAY = OutsideError("Redis does not answer", retry=True)


def test_it_is_a_fault_when_every_shard_rejects_and_its_age_counts_from_then_on() -> None:
    clock = [100.0]
    refusals = Refusals(clock=lambda: clock[0])
    seen = [refusals.fault]
    refusals.worked("two")
    refusals.failed("one", REFUSED)
    seen.append(refusals.fault)
    clock[0] = 110.0
    refusals.failed("two", REFUSED)
    clock[0] = 111.0
    refusals.failed("one", REFUSED)
    seen.append(refusals.fault)
    refusals.worked("two")
    seen.append(refusals.fault)
    clock[0] = 120.0
    refusals.failed("two", REFUSED)
    seen.append(refusals.fault)
    assert seen == [None, None, Fault("NOPERM", 1.0), None, Fault("NOPERM", 0.0)]


def test_an_outage_is_no_refusal() -> None:
    refusals = Refusals()
    refusals.failed("one", REFUSED)
    refusals.failed("one", AWAY)
    assert refusals.fault is None


def test_nothing_is_known_before_a_command_has_worked() -> None:
    refusals = Refusals()
    refusals.failed("one", AWAY)
    assert not refusals.worked_once
    refusals.worked("one")
    refusals.failed("one", REFUSED)
    assert refusals.worked_once
