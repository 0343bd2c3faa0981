"""Checks of transfers and of the people in the call: outcomes, participants, and the context that reached them."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import unquote

from lab.call_checks import CallCheck
from lab.observed_call import ObservedCall
from lab.scenario import Scenario
from lab.scenario_outcome import ExpectedContext, ExpectedTransfer
from lab.scenario_people import raw_id_of
from lab.wire import Json, rows


def people_checks(call: ObservedCall, scenario: Scenario, record: Json, actions: list[Json]) -> Iterator[CallCheck]:
    """`actions`: those of the call, in the format of the operator API."""
    expected = scenario.expect
    if expected.transfers is not None:
        yield _transfers(expected.transfers, actions)
    if expected.participants is not None:
        found = [f"{_name_of(one)} {one.get('state')}" for one in rows(record.get("participants", []))]
        claim = f"the participants are {', '.join(expected.participants) or 'none'}"
        yield CallCheck(claim, found == list(expected.participants), ", ".join(found) or "none")
    if expected.informed:
        messages = [str(one["text"]) for one in rows(call.voice.get("items", [])) if one.get("role") == "system"]
        rest = iter(messages)
        missing = next((text for text in expected.informed if not any(text in one for one in rest)), None)
        figure = " | ".join(messages) or "nothing"
        yield CallCheck(f"the agent learns, in order: {' | '.join(expected.informed)}", missing is None, figure)
    for name, context in expected.context.items():
        raw_id = raw_id_of(scenario, name)
        reached = [one["delivered"] for one in rows(call.phone.get("invitations", [])) if one["target"] == raw_id]
        yield from _context(name, context, reached[-1] if reached else None)


def _name_of(participant: Json) -> str:
    """The name of a target; a person without one is called by number or raw id, as in `people`."""
    return str(participant.get("name") or str(participant.get("raw_id", "")).removeprefix("4:"))


def _transfers(expected: tuple[ExpectedTransfer, ...], actions: list[Json]) -> CallCheck:
    made = [one for one in actions if one["action"] == "transfer"]
    wanted = [f"{one.target} {one.outcome}{f' ({one.reason})' if one.reason else ''}" for one in expected]
    found = [f"{one['arguments'].get('target')} {one['state']} ({one['reason'] or 'no reason'})" for one in made]
    holds = len(made) == len(expected) and all(
        (transfer.target, transfer.outcome) == (one["arguments"].get("target"), one["state"])
        and transfer.reason in (None, one["reason"])
        for transfer, one in zip(expected, made, strict=True)
    )
    return CallCheck(f"the transfers are {', '.join(wanted) or 'none'}", holds, ", ".join(found) or "none")


def _context(name: str, expected: ExpectedContext, delivered: Json | None) -> Iterator[CallCheck]:
    if delivered is None:
        yield CallCheck(f"{name} gets the context of the call", False, f"{name} was never called")
        return
    headers = {
        header.lower(): str(value)
        for kind in ("sipHeaders", "voipHeaders")
        for header, value in delivered.get(kind, {}).items()
    }
    for header, value in expected.headers.items():
        found = headers.get(header.lower())
        claim = f"{name} gets the header {header}: {value}"
        yield CallCheck(claim, found == value, found or f"only {', '.join(headers)}")
    texts = unquote(" | ".join([*headers.values(), *_values(delivered.get("teamsPhoneCallDetails"))]))
    for what, text in (("topic", expected.topic), ("summary", expected.summary)):
        if text is not None:
            yield CallCheck(f"{name} gets the {what} “{text}”", text in texts, texts or "nothing")


def _values(details: object) -> Iterator[str]:
    """Yield all scalars of a JSON value as strings."""
    if isinstance(details, dict):
        for value in details.values():
            yield from _values(value)
    elif isinstance(details, list):
        for value in details:
            yield from _values(value)
    elif details is not None:
        yield str(details)
