"""The outcome of calls with people, as seen from outside: by the operator API and the simulated ACS. No I/O."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Final

from lab.chaos.people_stories import Casting
from lab.wire import Json

_SETTLED: Final = ("done", "failed", "canceled")


@dataclass(frozen=True, slots=True, kw_only=True)
class PeopleEvidence:
    """One call at the end of the observation, before the caller hangs up."""

    casting: Casting
    connected: bool
    caller_there: bool
    people: Sequence[str] = ()
    """Raw ids of the other people in the call, without the application."""
    agent_answered: bool = False
    """Whether the agent answered the caller's question. Not asked in a conversation of the caller with a person."""
    invitations: Sequence[Json] = ()
    """Adds and transfers, as the simulated ACS lists them."""
    accepted: bool = True
    """False if the operator got no positive response: the action may have been carried out, but only once."""
    actions: Sequence[Json] = ()
    """Entries of `GET /api/calls/{call_id}/actions`."""
    tones: int = 0
    """Hold tones that the caller heard after the fault."""
    ended: bool = True
    """Whether the call has ended after the caller hung up."""
    call_id: str = ""
    lab_id: str = ""

    def as_json(self) -> Json:
        story = self.casting.story.name
        judged = {"alone": alone(self), "intended": as_intended(self), "doubled": doubled(self), "untrue": untrue(self)}
        return {**asdict(self), "casting": self.casting.number, "story": story, **judged}


# -- judgments ----------------------------------------------------------------------------------------------------
def alone(call: PeopleEvidence) -> bool:
    """Whether a participant is alone in the call: a caller without an agent or a person, a person without the caller,
    or the application by itself.
    """
    if not call.connected:
        return False
    return not call.caller_there or not (call.people or call.agent_answered)


def as_intended(call: PeopleEvidence) -> bool:
    """Whether the call ended up as its story requires."""
    story = call.casting.story
    if not story.talks and not story.agent:
        return not call.connected and any(_reached(call, one) for one in call.invitations)
    people = [call.casting.raw_id] if story.talks else []
    return (
        call.connected
        and call.caller_there
        and list(call.people) == people
        and (call.agent_answered or not story.agent)
    )


def doubled(call: PeopleEvidence) -> int:
    """Return the number of duplicate invitations and duplicate actions in the record, plus the people who were not
    requested.
    """
    return max(len(call.invitations) - 1, 0) + max(len(_entries(call)) - 1, 0) + len(_strangers(call))


def unsettled(call: PeopleEvidence) -> bool:
    """Whether an accepted request has no outcome in the record, or a failure without a reason."""
    entries = _entries(call)
    if not entries:
        return call.accepted
    return any(one["state"] not in _SETTLED or (one["state"] != "done" and not one["reason"]) for one in entries)


def untrue(call: PeopleEvidence) -> bool:
    """Whether the record contradicts the simulated ACS: an action is done and nobody was reached, or it has failed and
    the person is in the call.
    """
    reached = any(_reached(call, one) for one in call.invitations)
    states = [one["state"] for one in _entries(call)]
    return ("done" in states and not reached) or ("failed" in states and call.casting.raw_id in call.people)


def disturbed(call: PeopleEvidence) -> bool:
    """Whether people who talked at the time of the fault heard a hold tone."""
    story = call.casting.story
    return story.early and story.talks and call.tones > 0


def _entries(call: PeopleEvidence) -> list[Json]:
    return [one for one in call.actions if one["action"] == call.casting.story.action]


def _reached(call: PeopleEvidence, invitation: Json) -> bool:
    return bool(invitation["target"] == call.casting.raw_id and invitation["outcome"] == "answered")


def _strangers(call: PeopleEvidence) -> set[str]:
    invited = {str(one["target"]) for one in call.invitations}
    return {*call.people, *invited} - {call.casting.raw_id}


def people_figures(calls: Sequence[PeopleEvidence]) -> dict[str, float]:
    """Return the figures of one repetition."""
    return {
        "acting_calls": float(len(calls)),
        "left_alone": float(sum(map(alone, calls))),
        "invited_twice": float(sum(map(doubled, calls))),
        "outcomes_open": float(sum(map(unsettled, calls))),
        "outcomes_untrue": float(sum(map(untrue, calls))),
        "intended_pct": 100.0 * sum(map(as_intended, calls)) / len(calls) if calls else 100.0,
        "disturbed": float(sum(map(disturbed, calls))),
        "not_ended": float(sum(not call.ended for call in calls)),
        "requests_refused": float(sum(not call.accepted for call in calls)),
    }
