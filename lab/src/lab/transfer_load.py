"""`lab load --transfers`: many calls under a routing policy; half of the agent's calls are transferred to a person.

A quarter of the callers reaches an agent, the others are redirected. The people answer, are busy, decline, do not
answer, have a voicemail, or leave early; some callers hang up while the person's phone rings. Every call must end in
one outcome, and the metrics must have the same figures as the actions of the calls.
"""

from __future__ import annotations

import json
import re
import sys
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lab.metric_checks import read_metrics
from lab.observed_call import FINISHED
from lab.redis_server import NoRedisError
from lab.scenario import Scenario
from lab.stack import Stack, StackError, running, show_ready
from lab.story import stack_for
from lab.wire import Json, WireError, call_json, rows

PERCENT: Final = 25.0
_DESK: Final = "+14255559999"
_AGENTS: Final = {"talks": "gpt-4.1", "connects": "gpt-4o"}
"""Model by profile: the simulated Voice Live selects the agent script by it."""
_TRANSFERS: Final = re.compile(r'bridge_transfers_total\{(?=.*mode="attended").*outcome="(?P<outcome>[^"]*)".*\}')
_ENDS_WITHIN_S: Final = 60.0
_PEOPLE: Final[tuple[Json, ...]] = (
    {"outcome": "answers", "after_s": 0.5},
    {"outcome": "busy", "after_s": 0.3},
    {"outcome": "answers", "after_s": 1.0},
    {"outcome": "declined", "after_s": 0.5},
    {"outcome": "answers", "after_s": 0.5, "hangs_up_after_s": 1.0},
    {"outcome": "no_answer"},
    {"outcome": "voicemail", "after_s": 0.5},
    {"outcome": "wrong_number", "after_s": 0.2},
    {"outcome": "answers", "after_s": 0.1},
    {"outcome": "answers", "after_s": 4.0},
)
_LEAVES_EARLY: Final = len(_PEOPLE) - 1
"""Index of the person whose caller hangs up before the answer."""
_GREETED: Final[tuple[Json, ...]] = (
    {"wait_for": "agent_ends", "ms": 400},
    {"say": "Please connect me."},
    {"wait_for": "agent_ends", "ms": 400},
)
STACK: Final[Json] = {
    "settings": {
        "RELAY_CAPACITY": "200",
        "GATEWAY_CAPACITY": "200",
        "ROUTING_KEY": "routing-key-of-the-load-test-0123456789",
        "LOG_LEVEL": "WARNING",
    },
    "routing": {
        "human_agents": {"phone": "+14255559998"},
        "targets": {"desk": {"phone": _DESK, "ring_s": 5}},
        "rules": [
            {"name": "pilot", "percent": PERCENT, "agents": dict.fromkeys(_AGENTS, 50)},
            {"name": "rest", "redirect": "human_agents"},
        ],
    },
    "profiles": {
        name: {
            "target": {"model": model},
            "greeting": {"text": "Welcome."},
            "actions": ["transfer_call"],
            "transfer": {"targets": {"desk": "everything"}},
        }
        for name, model in _AGENTS.items()
    },
}
_ARGUMENTS: Final = {"target": "desk", "topic": "load", "summary": "A call of the load test."}
_SCRIPTS: Final[Mapping[str, Json]] = {
    "talks": {"replies": [{"heard": "Please connect me.", "say": "I can help you myself."}]},
    "connects": {
        "replies": [
            {
                "heard": "Please connect me.",
                "say_first": "I am connecting you.",
                "call": {
                    "name": "transfer_call",
                    "arguments": _ARGUMENTS,
                },
                "say": "I am back.",
            }
        ]
    },
}


@dataclass(frozen=True, slots=True)
class TransferLoad:
    """The outcomes of all calls."""

    calls: int
    states: Counter[str]
    """States of the calls at the phone."""
    profiles: Counter[str]
    """Profiles of the calls that an agent answered."""
    outcomes: Counter[str]
    """Transfers by state and reason."""
    metrics: Counter[str]
    """Attended transfers by outcome, as the metrics count them."""
    faults: tuple[str, ...]

    def as_json(self) -> Json:
        return {
            "calls": self.calls,
            "states": dict(self.states),
            "profiles": dict(self.profiles),
            "transfers": dict(self.outcomes),
            "metrics": dict(self.metrics),
            "faults": list(self.faults),
        }


def transfer_load(calls: int, per_s: float, folder: Path, *, json_path: Path | None = None) -> int:
    """Return exit code 0 if every call ended in one outcome."""
    scenario = Scenario.model_validate({"name": "transfers", "stack": STACK})

    def make() -> Stack:
        stack = stack_for(scenario, folder)
        stack.progress = show_ready
        return stack

    print(f"Starting the stack for {calls} calls, {per_s:g} a second:", end="", flush=True)
    try:
        with running(make(), make) as stack:
            print(f"\nPlacing {calls} calls …", flush=True)
            found = measure_transfers(stack, calls, per_s)
    except (StackError, NoRedisError, WireError) as error:
        print(f"\nThe load test could not run: {error}", file=sys.stderr)
        return 1
    print(table(found))
    if json_path:
        json_path.write_text(json.dumps(found.as_json(), indent=1) + "\n")
    for fault in found.faults:
        print(f"  NOT  {fault}", file=sys.stderr)
    return 1 if found.faults else 0


def measure_transfers(stack: Stack, calls: int, per_s: float, *, ends_within_s: float = _ENDS_WITHIN_S) -> TransferLoad:
    """Place the calls and wait until all have ended, at most `ends_within_s` after the last. Raises `StackError`,
    `WireError`.
    """
    for name, script in _SCRIPTS.items():
        call_json("PUT", f"{stack.url('voice-live')}/lab/agents/{_AGENTS[name]}", script)
    before, began = _metrics(stack), time.monotonic()
    placed: dict[str, str] = {}
    for number in range(calls):
        time.sleep(max(0.0, began + number / per_s - time.monotonic()))
        body = _call(number)
        placed[str(call_json("POST", f"{stack.url('acs')}/lab/calls", body)["id"])] = str(body["from"])
    phones = _ended(stack, placed, ends_within_s)
    return _judged(stack, phones, before, ends_within_s)


def _call(number: int) -> Json:
    kind = number % len(_PEOPLE)
    pause_ms = 900 if kind == _LEAVES_EARLY else 7500
    steps = [*_GREETED, {"pause_ms": pause_ms}, {"hang_up": True}]
    return {"from": f"+1425{number:07d}", "steps": steps, "people": {_DESK: _PEOPLE[kind]}}


def _ended(stack: Stack, placed: Mapping[str, str], within_s: float) -> list[Json]:
    """Wait until all calls have ended at the phone. Return those that are known, with their state."""
    deadline = time.monotonic() + within_s
    while True:
        phones = [row for row in rows(call_json("GET", f"{stack.url('acs')}/lab/calls")) if row["id"] in placed]
        if all(row["state"] in FINISHED for row in phones) or time.monotonic() > deadline:
            return phones
        if stack.dead():
            raise StackError(f"{stack.dead()[0].name} exited under load; log: {stack.dead()[0].log_path}")
        time.sleep(0.5)


def _judged(stack: Stack, phones: list[Json], before: Counter[str], within_s: float) -> TransferLoad:
    api = f"{stack.url('call-control')}/api/calls"
    deadline = time.monotonic() + within_s
    while True:
        records = {row["correlation_id"]: row for row in rows(call_json("GET", f"{api}?limit=1000"))}
        running_calls = [row for row in records.values() if row["status"] != "ended"]
        if not running_calls or time.monotonic() > deadline:
            break
        time.sleep(0.5)
    faults = [f"call {row['id']} is {row['state']}" for row in phones if row["state"] not in FINISHED]
    faults += [f"{row['call_id']} is {row['status']} after the end of its call" for row in running_calls]
    answered = [row for row in records.values() if row["answered_ms"]]
    profiles, outcomes = Counter(str(row["profile"]) for row in answered), Counter[str]()
    for row in answered:
        actions = rows(call_json("GET", f"{api}/{row['call_id']}/actions"))
        transfers = [one for one in actions if one["action"] == "transfer"]
        wanted = int(row["profile"] == "connects")
        if len(transfers) != wanted:
            faults.append(f"{row['call_id']} ({row['profile']}) has {len(transfers)} transfers, expected {wanted}")
        for one in transfers:
            outcomes[f"{one['state']} {one['reason']}".strip()] += 1
            if one["state"] in ("accepted", "running"):
                faults.append(f"the transfer of {row['call_id']} is still {one['state']}")
    metrics = _metrics(stack)
    metrics.subtract(before)
    if metrics.total() != outcomes.total():
        faults.append(f"bridge_transfers_total counts {metrics.total()} transfers, the calls have {outcomes.total()}")
    states = Counter(str(row["state"]) for row in phones)
    return TransferLoad(len(phones), states, profiles, outcomes, +metrics, tuple(faults))


def _metrics(stack: Stack) -> Counter[str]:
    found: Counter[str] = Counter()
    for sample, value in read_metrics(stack, "call-control").items():
        if (match := _TRANSFERS.fullmatch(sample)) is not None:
            found[match["outcome"]] += int(value)
    return found


def table(found: TransferLoad) -> str:
    lines = [f"\n{found.calls} calls: {_listed(found.states)}"]
    lines.append(f"{found.profiles.total()} answered by an agent, by profile: {_listed(found.profiles)}")
    lines.append(f"{found.outcomes.total()} transfers:")
    lines += [f"  {count:>6}  {outcome}" for outcome, count in found.outcomes.most_common()]
    lines.append(f"bridge_transfers_total: {_listed(found.metrics) or 'none'}")
    return "\n".join(lines)


def _listed(counted: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counted.most_common())
