"""The people of a scenario: their names and scripts, and mistakes in them and in the expectations about them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

import yaml
from pydantic import ValidationError

from lab.acs.forms import CallForms
from lab.acs.party_identifiers import Identifier
from lab.acs.people import CalleePlan
from lab.scenario import PARTY, Scenario
from lab.yaml_mistakes import Place, explain, located

CALLER: Final = "caller"
AGENT: Final = "agent"
VOICE: Final = "voice"
"""As a listener: the voice session, which gets the audio that the agent hears."""
_PREFIXES: Final = {"phone": "4:", "teams_user": "8:orgid:", "teams_app": "28:orgid:"}
"""Prefix of the raw id by kind of target in the routing policy; other kinds have the raw id itself."""
_STATES: Final = ("ringing", "joined", "left", "failed")
"""States of a participant in the operator API."""


def people_mistakes(scenario: Scenario, node: yaml.Node | None) -> Iterator[str]:
    """Yield a line for each mistake in `people`, `forms`, and the people that `expect` names."""
    for name, script in scenario.people.items():
        if re.match(PARTY, name) is None:
            text = "is not a person; expected an E.164 number in quotes, or a raw id (4:…, 8:…, 28:…)"
            yield located(node, ("people", name), text)
        try:
            CalleePlan.model_validate(script)
        except ValidationError as error:
            yield from explain(error, CalleePlan, node, {}, below=("people", name))
    try:
        CallForms.model_validate(scenario.forms)
    except ValidationError as error:
        yield from explain(error, CallForms, node, {}, below=("forms",))
    yield from (located(node, place, text) for place, text in _unknown_names(scenario))


def targets(scenario: Scenario) -> dict[str, str]:
    """Return the raw ids of the targets in the routing policy of the scenario's stack, by name."""
    named = scenario.stack.routing.get("targets")
    found: dict[str, str] = {}
    for name, target in named.items() if isinstance(named, Mapping) else ():
        if isinstance(target, Mapping):
            for kind, value in target.items():
                if isinstance(value, str) and re.match(PARTY, raw_id := _PREFIXES.get(kind, "") + value):
                    found[str(name)] = raw_id
    return found


def raw_id_of(scenario: Scenario, name: str) -> str:
    """Return the raw id of a person: a target of the policy, a number, or a raw id."""
    return targets(scenario).get(name) or Identifier.of(name).raw_id


def _unknown_names(scenario: Scenario) -> Iterator[tuple[Place, str]]:
    expected, people = scenario.expect, [*targets(scenario), *scenario.people]
    known = {
        "hears": [CALLER, VOICE, *people],
        "unheard": [CALLER, VOICE, *people],
        "context": people,
    }
    for key, names in known.items():
        for name in getattr(expected, key):
            if name not in names:
                yield ("expect", key, name), f"is not known; known: {', '.join(names) or 'none'}"
    for number, transfer in enumerate(expected.transfers or ()):
        if transfer.target not in targets(scenario):
            listed = ", ".join(targets(scenario)) or "none"
            yield (
                ("expect", "transfers", number, "target"),
                f"is not a target in `stack.routing`; its targets: {listed}",
            )
    for number, participant in enumerate(expected.participants or ()):
        name, _, state = participant.rpartition(" ")
        if name not in people:
            text = f"names nobody known; write a name and a state; known: {', '.join(people) or 'none'}"
            yield ("expect", "participants", number), text
        elif state not in _STATES:
            yield ("expect", "participants", number), f"must end with a state: {', '.join(_STATES)}"
    speakers, texts = [CALLER, AGENT, *people], sentences(scenario)
    for key in ("hears", "unheard"):
        for listener, heard in getattr(expected, key).items():
            for number, one in enumerate(heard):
                if one not in speakers and not any(one in text for text in texts):
                    text = f"is neither a person ({', '.join(speakers)}) nor a sentence of the scenario"
                    yield ("expect", key, listener, number), text


def sentences(scenario: Scenario) -> list[str]:
    """Return all texts that the caller, the people or the agent may say, those in the profiles included."""
    steps = [step.say for step in scenario.caller.steps]
    steps += [step.get("say") for script in scenario.people.values() for step in _steps(script)]
    replies = [text for reply in scenario.agent.replies for text in (reply.say_first, reply.say)]
    profiles = [str(scenario.stack.profile), str(scenario.stack.profiles)]
    return [text for text in (*steps, *replies, scenario.agent.greeting, *profiles) if text]


def _steps(script: Mapping[str, object]) -> list[Mapping[str, str]]:
    steps = script.get("steps")
    return [step for step in steps if isinstance(step, Mapping)] if isinstance(steps, list) else []
