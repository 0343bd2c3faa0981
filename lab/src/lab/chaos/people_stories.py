"""The stories of calls with people: what an operator requests, how the person reacts, and how the call must end up.

Each call has its own target in the routing policy, with a number of its own.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from lab.scenario import Agent, Reply
from lab.wire import Json

AGENT: Final = "reception"
CALLED: Final = "+18005570000"
RING_S: Final = 20
MOST_CALLS: Final = 24
_FIRST_NUMBER: Final = 14_255_570_000
_TURNS: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """`early`: the person has joined before the fault. `talks`: caller and person must be in the call at the end.
    `agent`: the agent must answer the caller at the end. With neither, the call must be over. `leaves`: the person
    hangs up at the moment of the fault.
    """

    name: str
    action: str = "transfer"
    mode: str = "attended"
    rings_s: float = 1.0
    early: bool = False
    talks: bool = True
    agent: bool = False
    leaves: bool = False

    def request(self, target: str) -> Json:
        """Return the body of the operator's request."""
        mode = {"mode": self.mode} if self.action == "transfer" else {}
        return {"action": self.action, "target": target, **mode}


STORIES: Final = (
    Story(name="dialing", rings_s=8.0),
    Story(name="joining", rings_s=0.5),
    Story(name="bridged", early=True),
    Story(name="left", early=True, leaves=True, talks=False, agent=True),
    Story(name="blind", mode="blind", rings_s=4.0, talks=False),
    Story(name="added", action="add_participant", rings_s=3.0, agent=True),
)


@dataclass(frozen=True, slots=True)
class Casting:
    """A story in one call. `number` counts the calls of a repetition from 0."""

    story: Story
    number: int

    @property
    def target(self) -> str:
        return target_name(self.number)

    @property
    def raw_id(self) -> str:
        return f"4:{phone_number(self.number)}"

    @property
    def person(self) -> Json:
        """Script of the person at the simulated ACS."""
        return {"outcome": "answers", "after_s": self.story.rings_s}


def target_name(number: int) -> str:
    return f"desk-{number}"


def phone_number(number: int) -> str:
    return f"+{_FIRST_NUMBER + number}"


def cast_people(calls: int, turn: int) -> Iterator[Casting]:
    """Yield the calls of one repetition. Which stories get the remaining calls changes with `turn`."""
    shift = turn % len(STORIES)
    order = (*STORIES[shift:], *STORIES[:shift])
    for number in range(min(calls, MOST_CALLS)):
        yield Casting(order[number % len(order)], number)


SCRIPT: Final = Agent(replies=(Reply(heard="Are you there?", say="Yes, I am here."),) * _TURNS)
_PROFILE: Final[dict[str, Any]] = {
    "target": {"agent": AGENT, "project": "lab-project"},
    "greeting": {"text": "Hello."},
}
PEOPLE_PROFILES: Final = json.dumps({AGENT: _PROFILE})
"""Content of AGENT_PROFILES_FILE (JSON is YAML)."""
PEOPLE_ROUTING: Final = json.dumps(
    {
        "rules": [
            {"name": "reception", "called": CALLED, "agent": AGENT},
            {"name": "others", "agent": "default"},
        ],
        "targets": {
            target_name(number): {"phone": phone_number(number), "ring_s": RING_S} for number in range(MOST_CALLS)
        },
    }
)
"""Content of ROUTING_POLICY."""
