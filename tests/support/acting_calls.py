"""End-to-end tests of agents that act: a stack with agent profiles, and a call with what is left of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lab.heard_audio import Recording, last_sound_s, read_recording
from lab.observed_call import ObservedCall, place_call
from lab.scenario import Scenario
from lab.stack import Ports, Stack, running
from lab.wire import Json, call_json, rows
from tests.support.eventually import eventually

AFTER_THE_LAST_WORD_S = 0.5
MODEL_MODE: Mapping[str, str] = {"VOICE_LIVE_MODEL": "gpt-4.1", "AGENT_NAME": "", "AGENT_PROJECT_NAME": ""}


@contextmanager
def acting_stack(
    folder: Path,
    profiles: str,
    *,
    relay: Mapping[str, str] | None = None,
    control: Mapping[str, str] | None = None,
    routing: str = "",
) -> Iterator[Stack]:
    """`profiles`, `routing`: content of AGENT_PROFILES_FILE and ROUTING_POLICY. `BUSINESS` in the profiles becomes the
    address of the simulated business, which then runs too. Yields the running stack.
    """
    ports = Ports.free()
    (folder / "profiles.yaml").write_text(profiles.replace("BUSINESS", f"http://127.0.0.1:{ports.business}"))
    (folder / "routing.yaml").write_text(routing)
    extra = {
        "agent-relay": {
            "AGENT_PROFILES_FILE": str(folder / "profiles.yaml"),
            "TOOL_PRIVATE_HOSTS": "127.0.0.1",
            **(relay or {}),
        },
        "call-control": {**({"ROUTING_POLICY": str(folder / "routing.yaml")} if routing else {}), **(control or {})},
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("REDIS_URL", raising=False)
        with running(Stack(ports, folder / "stack", extra)) as stack:
            if "BUSINESS" in profiles:
                stack.launch_part("business")
                stack.await_ready()
            yield stack


@dataclass(frozen=True)
class EndedCall:
    call: ObservedCall
    record: Json
    actions: list[Json]
    transcript: list[Json]
    recording: Recording

    @property
    def agent_turns(self) -> list[str]:
        return [str(row["text"]) for row in self.transcript if row.get("role") == "agent"]

    @property
    def silence_before_end_s(self) -> float:
        """From the last sound of the agent in the recording to the end of the call."""
        [opened], [ended] = self.call.times("phone", "media_open"), self.call.times("phone", "ended")
        agent, rate_hz = self.recording.agent, self.recording.rate_hz
        return ended - opened - last_sound_s(agent, rate_hz, 0.0, self.recording.seconds)

    @property
    def told(self) -> list[str]:
        """System messages in the agent's conversation."""
        return [str(item["text"]) for item in self.call.voice["items"] if item.get("role") == "system"]

    def requests(self) -> list[Json]:
        """Tool requests of the simulated agent platform."""
        return [row for row in self.call.voice["timeline"] if row["event"] == "agent_tool"]


async def run_call(
    stack: Stack,
    scenario: Scenario,
    during: Callable[[ObservedCall], Awaitable[None]] | None = None,
    *,
    within_s: float = 60.0,
) -> EndedCall:
    """Place the call and wait until it has ended. `during` runs beside it, once it is connected."""
    call = place_call(stack, scenario)

    def over() -> bool:
        call.poll()
        return call.finished

    if during is not None:
        await eventually(lambda: connected(call), within_s=20, every_s=0.05, what="the call is connected")
        await during(call)
    await eventually(over, within_s=within_s, every_s=0.1, what="the call ends")
    record = await eventually(lambda: ended_record(call), every_s=0.05, what="call-control knows that the call ended")
    call.poll()
    call_id = str(record["call_id"])
    return EndedCall(
        call, record, actions_of(stack, call_id), call.transcript(call_id), read_recording(call.recording())
    )


def connected(call: ObservedCall) -> bool:
    call.poll()
    return call.phone.get("state") == "connected" and bool(call.record())


def ended_record(call: ObservedCall) -> Json:
    """The record once call-control knows that the call ended, before that nothing."""
    record = call.record()
    return record if record.get("status") == "ended" else {}


def actions_of(stack: Stack, call_id: str) -> list[Json]:
    return rows(call_json("GET", f"{stack.url('call-control')}/api/calls/{call_id}/actions"))


def heard_event(call: ObservedCall, event: str, after: float = 0.0) -> bool:
    """Whether the phone has noted an event after a time of its clock."""
    call.poll()
    return any(t > after for t in call.times("phone", event))


def set_faults(stack: Stack, simulator: str, faults: Any) -> None:
    call_json("PUT", f"{stack.url(simulator)}/lab/faults", faults)


def check_hung_up(ended: EndedCall, by: str, goodbye: str) -> None:
    """Once, after the whole goodbye was heard, and soon after its last word."""
    assert ended.record["end_reason"] == f"hung_up_by_{by}"
    [hang_up] = [action for action in ended.actions if action["action"] == "hang_up"]
    assert (hang_up["state"], hang_up["reason"], hang_up["by"]) == ("done", "heard", by)
    check_heard_to_the_end(ended, goodbye)


def check_heard_to_the_end(ended: EndedCall, goodbye: str) -> None:
    last = [row for row in ended.transcript if row.get("role") == "agent"][-1]
    assert (last["text"], last["interrupted"]) == (goodbye, False)
    assert 0.0 <= ended.silence_before_end_s <= AFTER_THE_LAST_WORD_S
