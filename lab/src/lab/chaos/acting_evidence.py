"""The outcome of calls that act, as seen from outside: by the operator API, the simulated ACS and the simulated
business. No I/O.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Final

from lab.chaos.acting_roles import Role, WantedAction
from lab.wire import Json

_OPEN: Final = ("accepted", "running")
_NEVER: Final = float("inf")


@dataclass(frozen=True, slots=True, kw_only=True)
class ActingEvidence:
    """One call after its end. Times are in monotonic seconds."""

    role: Role
    actions: Sequence[Json]
    """Entries of `GET /api/calls/{call_id}/actions`."""
    accepted: bool
    """False if the sender got an error for its request: it may have been carried out, but only once."""
    requested_at: float
    """Infinite if nothing was requested."""
    ended_at: float
    """Infinite if the call had not ended at the end of the observation."""
    end_reason: str
    """As call-control recorded it."""
    hung_up: bool
    """Whether call-control hung up, as the simulated ACS saw it."""
    tones: str = ""
    """Tones that the simulated ACS sent to the caller."""
    bookings: int = 0
    announcements: Sequence[str] = ()
    """Outcome of each announcement in the transcript."""
    heard: float = 1.0
    """Share of the goodbye or the announcement that the caller heard, 0 to 1."""
    call_id: str = ""
    lab_id: str = ""

    def as_json(self) -> Json:
        return {**asdict(self), "role": self.role.name, "lost": lost(self), "doubled": doubled(self)}


# -- from the timelines of the simulators -------------------------------------------------------------------------
def times_of(source: Json, event: str) -> list[float]:
    return [float(row["t"]) for row in source["timeline"] if row["event"] == event]


def requested_by_agent(sessions: Sequence[Json]) -> float:
    """Return when an agent first requested its action, in one of the call's voice sessions; infinite if never."""
    calls = [t for one in sessions for t in times_of(one, "function_call")]
    return min([*calls, *(float(row["t"]) for row in _tool_answers(sessions) if _ok(row))], default=_NEVER)


def refused_by_tools(sessions: Sequence[Json]) -> bool:
    """Whether the platform of a Foundry agent called its tool and never got a positive answer."""
    answers = _tool_answers(sessions)
    return bool(answers) and not any(map(_ok, answers))


def hung_up_by_us(phone: Json) -> bool:
    return any(row["event"] == "hang_up" and row["reason"] == "agent_hung_up" for row in phone["timeline"])


def tones_to_caller(phone: Json) -> str:
    return "".join(row["tone"] for row in phone["timeline"] if row["event"] == "dtmf" and row["by"] == "agent")


def _tool_answers(sessions: Sequence[Json]) -> list[Json]:
    return [row for one in sessions for row in one["timeline"] if row["event"] == "agent_tool"]


def _ok(answer: Json) -> bool:
    return answer["status"] == 200 and '"ok":true' in str(answer["answer"]).replace(" ", "")


# -- judgments ----------------------------------------------------------------------------------------------------
def doubled(call: ActingEvidence) -> int:
    """Return how many effects happened more often than requested."""
    surplus = max(len(call.actions) - len(call.role.actions), 0) + max(call.bookings - 1, 0)
    return surplus + max(len(call.announcements) - 1, 0) + max(len(call.tones) - len(call.role.tones), 0)


def lost(call: ActingEvidence) -> int:
    """Return how many accepted requests have no outcome, or an outcome that did not happen."""
    if not call.accepted:
        return sum(1 for entry in call.actions if not _settled(entry))
    missing = sum(1 for wanted in call.role.actions if not _has_outcome(call, wanted))
    missing += call.role.books and call.bookings == 0
    return missing + (bool(call.role.announcement) and not call.announcements)


def _has_outcome(call: ActingEvidence, wanted: WantedAction) -> bool:
    entries = [entry for entry in call.actions if wanted.matches(entry)]
    if not entries or not _settled(entries[0]):
        return False
    if entries[0]["state"] != "done":
        return True
    if wanted.action == "hang_up":
        return call.end_reason == f"hung_up_by_{wanted.by}"
    return wanted.action != "send_dtmf" or call.tones.startswith(str(wanted.arguments["tones"]))


def _settled(entry: Json) -> bool:
    return entry["state"] == "done" or (entry["state"] not in _OPEN and bool(entry["reason"]))


def done(call: ActingEvidence) -> int:
    return sum(1 for entry in call.actions if entry["state"] == "done")


def closing_s(call: ActingEvidence) -> float:
    """Return the time from the request of a hang-up to the end of the call."""
    return call.ended_at - call.requested_at if call.requested_at < _NEVER else 0.0


def figures(calls: Sequence[ActingEvidence]) -> dict[str, float]:
    """Return the figures of one repetition. Shares include only requests that were accepted."""
    accepted = [call for call in calls if call.accepted]
    wanted = sum(len(call.role.actions) for call in accepted)
    closing = [call for call in accepted if call.role.ends]
    staying = [call for call in calls if not call.role.ends]
    spoken = [call for call in closing if call.ended_at < _NEVER]
    return {
        "acting_calls": float(len(calls)),
        "actions_lost": float(sum(map(lost, calls))),
        "actions_doubled": float(sum(map(doubled, calls))),
        "actions_done_pct": _share(sum(map(done, accepted)), wanted),
        "hung_up_pct": _share(sum(call.hung_up for call in closing), len(closing)),
        "kept_pct": _share(sum(call.ended_at == _NEVER for call in staying), len(staying)),
        "goodbyes_cut": float(sum(entry["reason"] == "cut" for call in closing for entry in call.actions)),
        "closing_s": max(map(closing_s, closing), default=0.0),
        "goodbye_heard_pct": 100 * min((call.heard for call in spoken), default=1.0),
        "goodbyes_whole_pct": _share(sum(call.heard == 1.0 for call in spoken), len(spoken)),
        "announcement_heard_pct": 100 * min((call.heard for call in accepted if call.role.announcement), default=1.0),
        "requests_refused": float(len(calls) - len(accepted)),
    }


def _share(part: float, whole: float) -> float:
    return 100.0 * part / whole if whole else 100.0
