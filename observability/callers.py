"""The callers of the recorded runs."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Any

from lab.chaos.local_fleet import LocalFleet
from lab.scenario import BUILT_IN
from lab.scenario_file import load_scenario
from lab.wire import WireError


def converse(fleet: LocalFleet, seconds: float, *, every_s: float = 3.0) -> None:
    """Place a scripted call with two questions and a barge-in every few seconds."""
    scenario = load_scenario(BUILT_IN["opening-hours"])
    fleet.request("PUT", "voice-live", "/lab/agent", scenario.agent.model_dump(mode="json"))
    steps = [step.model_dump(mode="json", exclude_none=True) for step in scenario.caller.steps]
    for number in each(seconds, every_s):
        place(fleet, number, steps=steps, audio="script")


def arrive(fleet: LocalFleet, seconds: float, *, every_s: float = 2.0, lasting_s: float = 6.0) -> None:
    """Place a call every few seconds and end each after some time, if it still runs."""
    running: list[tuple[float, str]] = []
    for number in each(seconds, every_s):
        running.append((time.monotonic(), place(fleet, number)))
        while running and time.monotonic() - running[0][0] > lasting_s:
            hang_up(fleet, running.pop(0)[1])
    for _, lab_id in running:
        hang_up(fleet, lab_id)


def place(fleet: LocalFleet, number: int, **extra: Any) -> str:
    body = {"from": f"+1425555{number:05d}", "to": "+18005551212", "audio": "marks", "mark": number, **extra}
    return str(fleet.request("POST", "acs", "/lab/calls", body)["id"])


def hang_up(fleet: LocalFleet, lab_id: str) -> None:
    with contextlib.suppress(WireError):  # the call has ended
        fleet.request("POST", "acs", f"/lab/calls/{lab_id}/hangup", {})


def each(seconds: float, every_s: float) -> Iterator[int]:
    """Yield 1, 2, … every few seconds, and return after `seconds`."""
    began = time.monotonic()
    for number in range(1, 1 + int(seconds / every_s)):
        yield number
        time.sleep(max(0.0, began + number * every_s - time.monotonic()))
