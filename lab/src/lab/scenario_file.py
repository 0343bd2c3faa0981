"""Reads scenario files and reports all their mistakes, each with its line."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

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
_NOT_IN_POLICIES: Final = tuple(f"tag:yaml.org,2002:{name}" for name in ("int", "float", "timestamp"))
"""YAML types that the reader of routing policies does not have."""


class ScenarioError(ValueError):
    """The file is not a valid scenario. The message lists every error with its line, as `mistakes` does. `path`: that
    of the scenario or of its shared stack.
    """

    def __init__(self, path: Path, mistakes: Sequence[str]) -> None:
        super().__init__("\n".join([f"The scenario {path} is invalid:", *(f"  {mistake}" for mistake in mistakes)]))
        self.path = path
        self.mistakes = mistakes


def load_scenario(path: Path) -> Scenario:
    """Read and validate a scenario file; paths in `play` are relative to its folder. Raises `ScenarioError`,
    `OSError`.
    """
    try:
        text = path.read_text(encoding="utf-8")
        node = yaml.compose(text, yaml.SafeLoader)
        content = _content(text, ("stack", "routing"))
    except UnicodeDecodeError as error:
        raise ScenarioError(path, ["the file is not UTF-8 text"]) from error
    except yaml.YAMLError as error:
        raise ScenarioError(path, [syntax_mistake(error, text)]) from error
    mistakes = list(repeated_keys(node))
    if isinstance(content, dict) and isinstance(content.get("stack"), str):
        content["stack"] = _shared_stack(path, content["stack"], node)
    try:
        scenario = Scenario.model_validate(content if content is not None else {})
    except ValidationError as error:
        raise ScenarioError(path, mistakes + explain(error, Scenario, node, _HINTS)) from error
    if mistakes := [*mistakes, *stack_mistakes(scenario, node)]:
        raise ScenarioError(path, mistakes)
    return _with_found_recordings(scenario, path)


def _content(text: str, routing: Sequence[str]) -> Any:
    """Return the values of a YAML text. Numbers and times below `routing` stay strings, as in call-control:
    `+14255550172` is a phone number without quotes as well. Raises `yaml.YAMLError`.
    """
    node = yaml.compose(text, yaml.SafeLoader)
    if node is None:
        return None
    below: yaml.Node | None = node
    for name in routing:
        entries = below.value if isinstance(below, yaml.MappingNode) else ()
        below = next((value for key, value in entries if key.value == name), None)
    _keep_strings(below)
    return yaml.SafeLoader("").construct_document(node)


def _keep_strings(node: yaml.Node | None) -> None:
    if isinstance(node, yaml.ScalarNode):
        if node.tag in _NOT_IN_POLICIES:
            node.tag = "tag:yaml.org,2002:str"
    elif isinstance(node, yaml.CollectionNode):
        for entry in node.value:
            for one in entry if isinstance(entry, tuple) else (entry,):
                _keep_strings(one)


def _shared_stack(path: Path, name: str, node: yaml.Node | None) -> dict[str, object]:
    """Return the content of `stacks/NAME.yaml` beside the scenario, which several scenarios share."""
    folder = path.parent / "stacks"
    file = folder / f"{name}.yaml"
    if not file.is_file():
        known = ", ".join(sorted(one.stem for one in folder.glob("*.yaml"))) or "none"
        text = f"is not a known stack: {file} does not exist; known: {known}"
        raise ScenarioError(path, [located(node, ("stack",), text)])
    text = file.read_text(encoding="utf-8")
    try:
        stack_node, content = yaml.compose(text, yaml.SafeLoader), _content(text, ("routing",))
    except yaml.YAMLError as error:
        raise ScenarioError(file, [syntax_mistake(error, text)]) from error
    mistakes = list(repeated_keys(stack_node))
    try:
        ScenarioStack.model_validate(content if content is not None else {})
    except ValidationError as error:
        raise ScenarioError(file, mistakes + explain(error, ScenarioStack, stack_node, _HINTS)) from error
    if mistakes:
        raise ScenarioError(file, mistakes)
    shared: dict[str, object] = content or {}
    return shared


def located_error(path: Path, faults: Iterable[tuple[Place, str]]) -> ScenarioError:
    """Return an error with the faults of a valid YAML file, each with its place and line."""
    node = yaml.compose(path.read_text(encoding="utf-8"), yaml.SafeLoader)
    return ScenarioError(path, [located(node, place, text) for place, text in faults])


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
                raise ScenarioError(path, [f"`{whose}.steps[{number}].play`: the file {recording} does not exist"])
            step = step.model_copy(update={"play": str(recording)})
        found.append(step)
    return tuple(found)
