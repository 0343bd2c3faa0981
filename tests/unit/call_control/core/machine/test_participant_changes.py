"""Changes of a participant that follow each other without a list of the participants in between."""

from __future__ import annotations

from dataclasses import replace

import pytest

from call_control.core.machine.call_commands import HoldParticipant, UnholdParticipant
from call_control.core.machine.call_events import CommandDone
from tests.unit.support.people_life import BILLING, CALLER, added, look, phoned


def test_a_hold_and_a_resume_without_a_list_in_between_are_both_done() -> None:
    """The list never shows the hold, because the resume follows before it was fetched."""
    life = added()
    numbers = iter(range(10))
    for participant in ("caller", "billing"):
        for action, command in (("hold", HoldParticipant), ("resume", UnholdParticipant)):
            life.act(action, f"{action}-{participant}", participant=participant)
            life.done(command)
            life.now_ms += 10 * next(numbers)
    assert [life.outcome(f"hold-{one}") for one in ("caller", "billing")] == [("done", "on_hold")] * 2
    look(life)
    life.looked(CALLER, BILLING)
    assert [life.outcome(f"resume-{one}") for one in ("caller", "billing")] == [("done", "resumed")] * 2


def test_an_overtaken_hold_is_done_only_when_acs_has_accepted_it() -> None:
    life = phoned()
    life.act("hold")
    first = life.waiting(HoldParticipant)
    life.act("resume", "act-2")
    assert life.outcome() == ("running", "")
    life.on(CommandDone(first))
    assert life.outcome() == ("done", "on_hold")
    assert life.outcome("act-2") == ("running", "")


def test_a_hold_of_another_participant_overtakes_nothing() -> None:
    life = added()
    life.act("hold")
    life.done(HoldParticipant)
    life.act("resume", "act-2", participant="billing")
    life.act("mute", "act-3")
    assert life.outcome() == ("running", "accepted by ACS")


@pytest.mark.parametrize("participant", ["caller", "4:+14255550100", "4:anonymous"])
def test_a_hidden_caller_is_put_on_hold_by_the_listed_id(participant: str) -> None:
    """ACS knows only the id of its list, not that of the IncomingCall event."""
    life = phoned()
    life.record = replace(life.record, caller="4:anonymous", caller_listed="4:+14255550100")
    life.act("hold", participant=participant)
    assert life.named(HoldParticipant, "raw_id") == "4:+14255550100"
