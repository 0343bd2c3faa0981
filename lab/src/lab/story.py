"""The parts of a scenario beside its call: the stack with its agent profile and faults, and checks of the outcome."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from lab.call_checks import CallCheck
from lab.digit_checks import masked_digits_checks
from lab.heard_audio import Recording, last_sound_s, longest_silence_s
from lab.hearing_checks import hearing_checks
from lab.observed_call import ObservedCall
from lab.people_checks import people_checks
from lab.scenario import OtherCall, Scenario, ScenarioStack
from lab.scenario_checks import BUSINESS, MODE_SETTINGS, uses_business
from lab.stack import PARTS, Ports, Stack, StackError
from lab.stack_files import write_policy, write_profiles
from lab.wire import Json, call_json, rows

_KEYS: Final = "[keypad] "
_CONNECTED_WITHIN_S: Final = 20.0


def stack_for(scenario: Scenario, folder: Path) -> Stack:
    """A stack on free ports that is not started yet. Writes the scenario's agent profile and routing policy into
    `folder`.
    """
    ports, wanted = Ports.free(), scenario.stack
    parts = (*PARTS, "business") if uses_business(scenario) else PARTS
    extra = {part: dict(wanted.settings) for part in parts}
    relay = extra["agent-relay"]
    if wanted.model:
        relay |= {"VOICE_LIVE_MODEL": wanted.model, "AGENT_NAME": "", "AGENT_PROJECT_NAME": ""}
    elif any(wanted.settings.get(name) for name in MODE_SETTINGS):
        relay["AGENT_NAME"] = ""
    if (profiles := write_profiles(scenario, folder, ports)) is not None:
        private = ",".join(filter(None, (relay.get("TOOL_PRIVATE_HOSTS"), "127.0.0.1")))
        relay |= {"AGENT_PROFILES_FILE": str(profiles), "TOOL_PRIVATE_HOSTS": private}
    if (policy := write_policy(scenario, folder)) is not None:
        extra["call-control"]["ROUTING_POLICY"] = str(policy)
    return Stack(ports, folder, extra, parts=parts)


def prepare(stack: Stack, wanted: ScenarioStack) -> None:
    """Inject the faults. Raises `WireError`."""
    if f"{BUSINESS}/mcp" in str((wanted.profile, wanted.profiles)):
        call_json("GET", f"{stack.url('business')}/lab/mcp")  # before the call, whose timing the start would change
    for simulator, faults in wanted.faults.items():
        call_json("PUT", f"{stack.url(simulator)}/lab/faults", faults)


def place_other(stack: Stack, other: OtherCall) -> None:
    """Place a call and wait until it is connected. Raises `StackError`, `WireError`."""
    steps = [{"pause_ms": round(other.hang_up_after_s * 1000)}, {"hang_up": True}]
    calls = f"{stack.url('acs')}/lab/calls"
    placed = call_json("POST", calls, {"from": other.number, "to": other.to, "steps": steps})
    deadline = time.monotonic() + _CONNECTED_WITHIN_S
    while (state := call_json("GET", f"{calls}/{placed['id']}")["state"]) != "connected":
        if state not in ("ringing", "connecting") or time.monotonic() > deadline:
            raise StackError(f"the call of {other.number} is not connected but {state}; logs: {stack.folder}")
        time.sleep(0.05)


def outcome_checks(
    call: ObservedCall, scenario: Scenario, record: Json, transcript: list[Json], recording: Recording
) -> Iterator[CallCheck]:
    expected = scenario.expect
    if expected.state is not None:
        state = str(call.phone.get("state"))
        yield CallCheck(f"the call is {expected.state}", state == expected.state, state)
    yield from record_checks(scenario, record)
    if expected.rings_s is not None:
        rang_s = call.times("phone", "answered")[0] - call.times("phone", "incoming_call_sent")[0]
        yield CallCheck(
            f"the phone rings for {expected.rings_s:g} s or longer", rang_s >= expected.rings_s, f"{rang_s:.2f} s"
        )
    actions: list[Json] = []
    if expected.actions is not None or expected.transfers is not None:
        actions = rows(call_json("GET", f"{call.stack.url('call-control')}/api/calls/{record['call_id']}/actions"))
    yield from people_checks(call, scenario, record, actions)
    yield from hearing_checks(call, scenario)
    if expected.actions is not None:
        states = [f"{one['action']} {one['state']}" for one in actions]
        claim = f"the actions are {', '.join(expected.actions) or 'none'}"
        yield CallCheck(claim, states == list(expected.actions), ", ".join(states) or "none")
    if expected.says:
        said = [str(row["text"]) for row in transcript if row.get("role") == "agent"]
        rest = iter(said)
        missing = next((text for text in expected.says if not any(text in turn for turn in rest)), None)
        heard = " | ".join(said) or "nothing"
        figure = heard if missing is None else f"missing: “{missing}”; the agent said: {heard}"
        yield CallCheck(f"the agent says, in order: {' | '.join(expected.says)}", missing is None, figure)
    if expected.tones is not None:
        sent = "".join(
            str(row["tone"])
            for row in call.phone.get("timeline", [])
            if row["event"] == "dtmf" and row["by"] == "agent"
        )
        yield CallCheck(f"the phone gets the tones {expected.tones}", sent == expected.tones, sent or "none")
    if expected.keys is not None:
        keys = [text.removeprefix(_KEYS) for text in _told(call) if text.startswith(_KEYS)]
        claim = f"the agent receives the keys {', '.join(expected.keys) or 'none'}"
        yield CallCheck(claim, keys == list(expected.keys), ", ".join(keys) or "none")
    if expected.masked is not None:
        yield from masked_digits_checks(call, expected.masked, record, transcript)
    if expected.longest_silence_s is not None:
        silence_s = _longest_silence_s(call, recording)
        claim = f"nobody hears more than {expected.longest_silence_s:g} s of silence"
        yield CallCheck(claim, 0.0 <= silence_s <= expected.longest_silence_s, f"{silence_s:.2f} s")
    if expected.silence_at_end_s is not None:
        silence_s = _silence_at_end_s(call, recording)
        claim = f"the call ends {expected.silence_at_end_s:g} s after the last word, or earlier"
        yield CallCheck(claim, 0.0 <= silence_s <= expected.silence_at_end_s, f"{silence_s:.2f} s")


def record_checks(scenario: Scenario, record: Json) -> Iterator[CallCheck]:
    expected = scenario.expect
    if expected.end_reason is not None:
        found = str(record.get("end_reason"))
        yield CallCheck(f"the end reason is {expected.end_reason}", found == expected.end_reason, found)
    if expected.route is not None:
        route = record.get("route") or {}
        found = f"{route.get('rule')}: {route.get('reason')}"
        yield CallCheck(f"the route is {expected.route}", found == expected.route, found)


def _told(call: ObservedCall) -> list[str]:
    """Return the messages of the caller in the agent's conversation."""
    return [str(item.get("text", "")) for item in rows(call.voice.get("items", [])) if item.get("role") == "user"]


def _longest_silence_s(call: ObservedCall, recording: Recording) -> float:
    opened, spoken = call.times("phone", "media_open"), call.times("phone", "caller_says")
    if not opened or not spoken:
        return -1.0
    rate_hz, from_s = recording.rate_hz, spoken[0] - opened[0]
    to_s = last_sound_s(recording.agent, rate_hz, from_s, recording.seconds)
    return longest_silence_s((recording.caller, recording.agent), rate_hz, from_s, to_s)


def _silence_at_end_s(call: ObservedCall, recording: Recording) -> float:
    opened, ended = call.times("phone", "media_open"), call.times("phone", "ended")
    if not opened or not ended:
        return -1.0
    return ended[-1] - opened[0] - last_sound_s(recording.agent, recording.rate_hz, 0.0, recording.seconds)
