"""Reads scenario files and reports all their mistakes, each with its line."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

import yaml
from pydantic import TypeAdapter, ValidationError

from lab.scenario import Scenario, ScenarioStack, ScenarioStep
from lab.scenario_checks import stack_mistakes
from lab.yaml_mistakes import Place, explain, located, repeated_keys, syntax_mistake

_HINTS: Final = {
    "dtmf": "the keys 0-9, A-D, * and #",
    "number": "an E.164 number such as +14255550100, or a raw id (4:…, 8:…, 28:…)",
    "to": "an E.164 number such as +18005551212, or a raw id (4:…, 8:…, 28:…)",
    "name": "letters, digits, spaces, dots, dashes; result files are named after it",
}


class ScenarioError(ValueError):
    """The file is not a valid scenario. The message lists every error with its line."""


def load_scenario(path: Path) -> Scenario:
    """Read and validate a scenario file; paths in `play` are relative to its folder. Raises `ScenarioError`,
    `OSError`.
    """
    try:
        text = path.read_text(encoding="utf-8")
        node = yaml.compose(text, yaml.SafeLoader)
        content = yaml.safe_load(text)
    except UnicodeDecodeError as error:
        raise _not_usable(path, ["the file is not UTF-8 text"]) from error
    except yaml.YAMLError as error:
        raise _not_usable(path, [syntax_mistake(error, text)]) from error
    mistakes = list(repeated_keys(node))
    if isinstance(content, dict) and isinstance(content.get("stack"), str):
        content["stack"] = _shared_stack(path, content["stack"], node)
    try:
        scenario = Scenario.model_validate(content if content is not None else {})
    except ValidationError as error:
        raise _not_usable(path, mistakes + explain(error, Scenario, node, _HINTS)) from error
    if mistakes := [*mistakes, *stack_mistakes(scenario, node)]:
        raise _not_usable(path, mistakes)
    return _with_found_recordings(scenario, path)


def _shared_stack(path: Path, name: str, node: yaml.Node | None) -> dict[str, object]:
    """Return the content of `stacks/NAME.yaml` beside the scenario, which several scenarios share."""
    folder = path.parent / "stacks"
    file = folder / f"{name}.yaml"
    if not file.is_file():
        known = ", ".join(sorted(one.stem for one in folder.glob("*.yaml"))) or "none"
        text = f"is not a known stack: {file} does not exist; known: {known}"
        raise _not_usable(path, [located(node, ("stack",), text)])
    text = file.read_text(encoding="utf-8")
    try:
        stack_node, content = yaml.compose(text, yaml.SafeLoader), yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise _not_usable(file, [syntax_mistake(error, text)]) from error
    mistakes = list(repeated_keys(stack_node))
    try:
        ScenarioStack.model_validate(content if content is not None else {})
    except ValidationError as error:
        raise _not_usable(file, mistakes + explain(error, ScenarioStack, stack_node, _HINTS)) from error
    if mistakes:
        raise _not_usable(file, mistakes)
    shared: dict[str, object] = content or {}
    return shared


def located_error(path: Path, faults: Iterable[tuple[Place, str]]) -> ScenarioError:
    """Return an error with the faults of a valid YAML file, each with its place and line."""
    node = yaml.compose(path.read_text(encoding="utf-8"), yaml.SafeLoader)
    return _not_usable(path, [located(node, place, text) for place, text in faults])


def _with_found_recordings(scenario: Scenario, path: Path) -> Scenario:
    """Make the paths of `play` absolute: the simulated phone may run in another folder."""
    caller = scenario.caller.model_copy(
        update={"steps": _with_absolute(scenario.caller.steps, path, "caller")},
    )
    people = {}
    for name, script in scenario.people.items():
        steps = TypeAdapter(tuple[ScenarioStep, ...]).validate_python(script.get("steps", ()))
        found = _with_absolute(steps, path, f"people.{name}")
        people[name] = script | {"steps": [step.model_dump(mode="json", exclude_none=True) for step in found]}
    return scenario.model_copy(update={"caller": caller, "people": people})


def _with_absolute(steps: Iterable[ScenarioStep], path: Path, whose: str) -> tuple[ScenarioStep, ...]:
    found: list[ScenarioStep] = []
    for number, step in enumerate(steps):
        if step.play is not None:
            recording = (path.parent / step.play).absolute()
            if not recording.is_file():
                raise _not_usable(path, [f"`{whose}.steps[{number}].play`: the file {recording} does not exist"])
            step = step.model_copy(update={"play": str(recording)})
        found.append(step)
    return tuple(found)


def _not_usable(path: Path, mistakes: list[str]) -> ScenarioError:
    return ScenarioError("\n".join([f"The scenario {path} is invalid:", *(f"  {mistake}" for mistake in mistakes)]))
