"""Reads scenario files and reports all their mistakes, each with its line."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

import yaml
from pydantic import ValidationError

from lab.scenario import Scenario, ScenarioStep
from lab.scenario_checks import stack_mistakes
from lab.yaml_mistakes import Place, explain, located, repeated_keys, syntax_mistake

_HINTS: Final = {
    "dtmf": "the keys 0-9, A-D, * and #",
    "number": "an E.164 number such as +14255550100",
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
    try:
        scenario = Scenario.model_validate(content if content is not None else {})
    except ValidationError as error:
        raise _not_usable(path, mistakes + explain(error, Scenario, node, _HINTS)) from error
    if mistakes := [*mistakes, *stack_mistakes(scenario, node)]:
        raise _not_usable(path, mistakes)
    return _with_found_recordings(scenario, path)


def located_error(path: Path, faults: Iterable[tuple[Place, str]]) -> ScenarioError:
    """Return an error with the faults of a valid YAML file, each with its place and line."""
    node = yaml.compose(path.read_text(encoding="utf-8"), yaml.SafeLoader)
    return _not_usable(path, [located(node, place, text) for place, text in faults])


def _with_found_recordings(scenario: Scenario, path: Path) -> Scenario:
    """Make the paths of `play` absolute: the simulated phone may run in another folder."""
    steps: list[ScenarioStep] = []
    for number, step in enumerate(scenario.caller.steps):
        if step.play is not None:
            recording = (path.parent / step.play).absolute()
            if not recording.is_file():
                raise _not_usable(path, [f"`caller.steps[{number}].play`: the file {recording} does not exist"])
            step = step.model_copy(update={"play": str(recording)})
        steps.append(step)
    caller = scenario.caller.model_copy(update={"steps": tuple(steps)})
    return scenario.model_copy(update={"caller": caller})


def _not_usable(path: Path, mistakes: list[str]) -> ScenarioError:
    return ScenarioError("\n".join([f"The scenario {path} is invalid:", *(f"  {mistake}" for mistake in mistakes)]))
