"""`lab check`: checks agent profiles, a routing policy and scenarios, without a stack. The services' own readers judge
the profiles and the policies, also those in a scenario.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from lab.scenario_file import ScenarioError, load_scenario, located_error
from lab.service_readers import POLICY, PROFILES, ReaderError, read, unknown_agents, unknown_targets
from lab.stack_files import service_faults
from lab.wire import Json

_POLICY_KEYS: Final = re.compile(
    r"^(rules|human_agents|people|kill_switch|everyone_to_people|time_zone)\s*:", re.MULTILINE
)
_SCENARIO: Final = "scenario"
_SCENARIO_NAME: Final = re.compile(r"^name[ \t]*:[ \t]*[^\s{#]", re.MULTILINE)
"""A name that is a string: in profiles it would be a mapping, and a policy has no name."""
_SCENARIO_KEYS: Final = re.compile(r"^(caller|agent|people|forms|other_calls|stack|expect)[ \t]*:", re.MULTILINE)
_INVALID: Final = 2


def check_files(paths: Sequence[Path]) -> int:
    """Print what each file contains, or its mistakes. Return exit code 2 if there are any."""
    kinds = {path: _kind_of(path) for path in paths}
    mistakes = [mistake for path in paths if kinds[path] == _SCENARIO for mistake in _check_scenario(path)]
    mistakes += _check_settings({path: kind for path, kind in kinds.items() if kind != _SCENARIO})
    for mistake in mistakes:
        print(mistake, file=sys.stderr)
    return _INVALID if mistakes else 0


def _check_scenario(path: Path) -> list[str]:
    try:
        scenario = load_scenario(path)
        if faults := service_faults(scenario):
            raise located_error(path, faults)
    except ScenarioError as error:
        return [f"{error.path}: {mistake}" for mistake in error.mistakes]
    except (OSError, ReaderError) as error:
        return [f"{path}: {error}"]
    print(f"{path}: the scenario {scenario.name}")
    return []


def _check_settings(kinds: dict[Path, str]) -> list[str]:
    """Check files of profiles and policies, and compare the names in them."""
    found = {path: _read(kind, path) for path, kind in kinds.items()}
    mistakes = [f"{path}: {mistake}" for path in kinds for mistake in found[path]["mistakes"]]
    valid = [path for path in kinds if not found[path]["mistakes"]]
    files = [path for path in valid if kinds[path] == PROFILES]
    policies = [path for path in valid if kinds[path] == POLICY]
    profiles = [name for path in files for name in found[path]["profiles"]]
    for policy in policies:
        for path in files:
            mistakes += [f"{path}: {fault}" for fault in unknown_targets(found[path], found[policy]["targets"])]
    for path in valid:
        if kinds[path] == PROFILES:
            print(f"{path}: {len(found[path]['profiles'])} agent profiles: {', '.join(found[path]['profiles'])}")
            if found[path]["targets"] and POLICY not in kinds.values():
                print(f"{path}: the targets were not compared; give the file of the routing policy as well")
            continue
        print(f"{path}: a routing policy with {len(found[path]['agents'])} rules")
        if files:
            mistakes += [f"{path}: {fault}" for fault in unknown_agents(found[path], profiles)]
        elif PROFILES not in kinds.values():
            print(f"{path}: the agents were not compared; give the file of the profiles as well")
    return mistakes


def _kind_of(path: Path) -> str:
    """Distinguish the files by their first level, also if they are not valid YAML."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return PROFILES  # its reader reports the error
    if _SCENARIO_NAME.search(text) or len(set(_SCENARIO_KEYS.findall(text))) > 1:
        return _SCENARIO
    return POLICY if _POLICY_KEYS.search(text) else PROFILES


def _read(kind: str, path: Path) -> Json:
    try:
        return read(kind, path)
    except ReaderError as error:
        return {"mistakes": [str(error)]}
