"""Checks of a scenario beyond its format: its stack can start, and the real services could do what it plays."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Final

import yaml
from pydantic import BaseModel, ValidationError

from lab.acs.acs_faults import FaultPlan, unknown_names
from lab.acs.callback_events import NAMES as EVENT_NAMES
from lab.acs.rest import OPERATION_NAMES
from lab.business import BusinessFaults
from lab.exported import OWNED
from lab.scenario import Scenario, ScenarioStack
from lab.scenario_people import people_mistakes
from lab.setting_names import KNOWN, nearest
from lab.voice_live.injected_faults import VoiceLiveFaults
from lab.yaml_mistakes import Place, explain, located

BUSINESS: Final = "BUSINESS"
"""Stands for the address of the simulated business in a profile."""
MODE_SETTINGS: Final = ("VOICE_LIVE_MODEL", "AZURE_OPENAI_DEPLOYMENT", "VOICE_AGENT_NAME")
"""Settings that select a model or a voice agent, whose functions the client runs, instead of a prompt agent."""
FUNCTION_REMEDY: Final = (
    "it is not known whether Voice Live hands a function call of a Foundry prompt agent to its client. Set"
    " `stack.model` for a model, use `tool` for a tool that Foundry runs, or select a form with"
    " `stack.faults.voice-live.agent_function.form`: stalled, failed, accepted, refused"
)
_AGENT_TARGETS: Final = ("agent", "classic_agent")
_FAULTS: Final[Mapping[str, type[BaseModel]]] = {
    "acs": FaultPlan,
    "voice-live": VoiceLiveFaults,
    "business": BusinessFaults,
}


def stack_mistakes(
    scenario: Scenario, node: yaml.Node | None, environ: Mapping[str, str] | None = None
) -> Iterator[str]:
    """Yield a line for each mistake. `environ`: the exported variables, which may select a model."""
    yield from _fault_mistakes(scenario, node)
    yield from people_mistakes(scenario, node)
    found = [*_setting_mistakes(scenario), *_tool_mistakes(scenario, os.environ if environ is None else environ)]
    yield from (located(node, place, text) for place, text in found)


def uses_business(scenario: Scenario) -> bool:
    return BUSINESS in str((scenario.stack.profile, scenario.stack.profiles))


def _fault_mistakes(scenario: Scenario, node: yaml.Node | None) -> Iterator[str]:
    for simulator, faults in scenario.stack.faults.items():
        below: Place = ("stack", "faults", simulator)
        try:
            plan = _FAULTS[simulator].model_validate(faults)
        except ValidationError as error:
            yield from explain(error, _FAULTS[simulator], node, {}, below=below)
            continue
        if isinstance(plan, FaultPlan):
            for mistake in unknown_names(plan, OPERATION_NAMES, EVENT_NAMES):
                place, _, text = mistake.partition(": ")
                yield located(node, (*below, *place.split(".")), text)
        if simulator == "business" and not uses_business(scenario):
            text = f"has no effect: no tool in `stack.profile` uses {BUSINESS} in its `url`"
            yield located(node, below, text)


def _setting_mistakes(scenario: Scenario) -> Iterator[tuple[Place, str]]:
    settings = scenario.stack.settings
    for name in settings:
        place: Place = ("stack", "settings", name)
        if name in OWNED:
            yield place, "is set by `lab` itself; remove it"
        elif name not in KNOWN:
            near = nearest(name)
            yield (
                place,
                f"is not a setting of a service or simulator; did you mean {near}?"
                if near
                else ("is not a setting of a service or simulator; docs/settings.md and docs/lab.md list them"),
            )
    if "AGENT_PROFILES_FILE" in settings and has_profiles(scenario.stack):
        yield ("stack", "settings", "AGENT_PROFILES_FILE"), "cannot be combined with `stack.profile`; keep one of them"
    if "default" in scenario.stack.profiles and scenario.stack.profile:
        yield ("stack", "profiles", "default"), "is also defined by `stack.profile`; keep one of them"
    if scenario.stack.model and any(settings.get(name) for name in MODE_SETTINGS):
        yield ("stack", "model"), f"cannot be combined with {' or '.join(MODE_SETTINGS)} in `stack.settings`"


def _tool_mistakes(scenario: Scenario, environ: Mapping[str, str]) -> Iterator[tuple[Place, str]]:
    """Yield the functions and tools that the connection mode does not have. An exported AGENT_PROFILES_FILE may select
    any mode: nothing is known then.
    """
    stack = scenario.stack
    if not has_profiles(stack) and (environ.get("AGENT_PROFILES_FILE") or stack.settings.get("AGENT_PROFILES_FILE")):
        return
    if not any(_confirms_with_words(profile) for profile in (stack.profile, *stack.profiles.values())):
        for number, reply in enumerate(scenario.agent.replies):
            if not any((reply.say, reply.call, reply.tool, reply.mcp)):
                text = "needs `say`: only the words of a person, in a stack whose profile has `transfer.confirm.words`,"
                yield ("agent", "replies", number), f"{text} have no answer"
    runs_agent = [_runs_agent(scenario, profile, environ) for profile in (stack.profile, *stack.profiles.values())]
    named = "agent_function" in stack.faults.get("voice-live", {})
    for number, reply in enumerate(scenario.agent.replies):
        if reply.call is not None and all(runs_agent) and not named:
            yield ("agent", "replies", number, "call"), f"needs a model: {FUNCTION_REMEDY}"
        if reply.tool is not None and not any(runs_agent):
            yield ("agent", "replies", number, "tool"), "needs a Foundry agent whose tools Foundry runs; use `call`"


def _confirms_with_words(profile: Mapping[str, object]) -> bool:
    transfer = profile.get("transfer")
    confirm = transfer.get("confirm") if isinstance(transfer, Mapping) else None
    return isinstance(confirm, Mapping) and bool(confirm.get("words"))


def has_profiles(stack: ScenarioStack) -> bool:
    return bool(stack.profile or stack.profiles)


def _runs_agent(scenario: Scenario, profile: Mapping[str, object], environ: Mapping[str, str]) -> bool:
    target = profile.get("target")
    if isinstance(target, Mapping):
        return any(target.get(kind) for kind in _AGENT_TARGETS)
    settings = scenario.stack.settings
    return not scenario.stack.model and not any(settings.get(name) or environ.get(name) for name in MODE_SETTINGS)
