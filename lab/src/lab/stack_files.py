"""The agent profiles and the routing policy of a scenario's stack: the files for the services, and the faults that the
services' readers find in them.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

import yaml

from lab.ports import Ports
from lab.scenario import Scenario
from lab.scenario_checks import BUSINESS, has_profiles
from lab.service_readers import POLICY, PROFILES, read, unknown_agents, unknown_targets
from lab.wire import Json
from lab.yaml_mistakes import Place

PROFILE: Final = "default"
"""Name of the profile in the file that the services read."""
_PROFILES_SETTING: Final = "AGENT_PROFILES_FILE"
_POLICY_SETTING: Final = "ROUTING_POLICY"


def write_profiles(scenario: Scenario, folder: Path, ports: Ports) -> Path | None:
    """Return the file of the profiles, None if the scenario has none."""
    wanted = scenario.stack
    if not has_profiles(wanted):
        return None
    profiles = ({PROFILE: wanted.profile} if wanted.profile else {}) | wanted.profiles
    text = yaml.safe_dump(profiles).replace(BUSINESS, f"http://127.0.0.1:{ports.business}")
    return _written(folder, "profiles.yaml", text)


def write_policy(scenario: Scenario, folder: Path) -> Path | None:
    """Return the file of the routing policy, None if the scenario has none."""
    if not scenario.stack.routing:
        return None
    return _written(folder, "routing.yaml", yaml.safe_dump(scenario.stack.routing, sort_keys=False))


def _written(folder: Path, name: str, text: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = (folder / name).absolute()
    path.write_text(text, encoding="utf-8")
    return path


def service_faults(scenario: Scenario, environ: Mapping[str, str] | None = None) -> list[tuple[Place, str]]:
    """Return place and text of each fault in the profiles and the policy, and of each name in one of them that the
    other lacks. `environ`: the exported settings, which may contain the missing file. Raises `ReaderError`.
    """
    elsewhere = {**(os.environ if environ is None else environ), **scenario.stack.settings}
    with tempfile.TemporaryDirectory() as folder:
        profiles_path = write_profiles(scenario, Path(folder), Ports())
        policy_path = write_policy(scenario, Path(folder))
        profiles: Json = read(PROFILES, profiles_path) if profiles_path else {"profiles": [PROFILE], "targets": {}}
        policy: Json = read(POLICY, policy_path) if policy_path else {"agents": {}, "targets": []}
    of_profiles, of_policy = list(profiles.get("mistakes", ())), list(policy.get("mistakes", ()))
    if not of_profiles and not of_policy:
        if policy_path or not elsewhere.get(_POLICY_SETTING):
            of_profiles += unknown_targets(profiles, policy["targets"])
        if profiles_path or not elsewhere.get(_PROFILES_SETTING):
            of_policy += unknown_agents(policy, profiles["profiles"])
    found = [fault for text in of_profiles for fault in _of_profiles(scenario, text)]
    return found + [_of_policy(scenario, text) for text in of_policy]


def refused_parts(scenario: Scenario, problems: Iterable[str]) -> list[tuple[Place, str]]:
    """Return place and text of each problem of a service with a part of the scenario. The others concern exported
    settings.
    """
    found: list[tuple[Place, str]] = []
    for problem in problems:
        name, _, text = problem.partition(": ")
        if name == _PROFILES_SETTING and has_profiles(scenario.stack):
            found += _of_profiles(scenario, text.partition(": ")[2])
        elif name in scenario.stack.settings:
            found.append((("stack", "settings", name), text))
        elif name == "VOICE_LIVE_MODEL" and scenario.stack.model:
            found.append((("stack", "model"), text))
    return found


def _of_profiles(scenario: Scenario, mistakes: str) -> Iterator[tuple[Place, str]]:
    names = "|".join(map(re.escape, (PROFILE, *scenario.stack.profiles)))
    for mistake in re.split(rf"; (?=(?:{names})\b)", mistakes):
        yield _of_profile(scenario, mistake)


def _of_profile(scenario: Scenario, mistake: str) -> tuple[Place, str]:
    stack = scenario.stack
    place, text = _placed(mistake, {PROFILE: stack.profile} | stack.profiles)
    if not place:
        return ("stack", "profile"), text
    if place[0] == PROFILE and PROFILE not in stack.profiles:
        return ("stack", "profile", *place[1:]), text
    return ("stack", "profiles", *place), text


def _of_policy(scenario: Scenario, mistake: str) -> tuple[Place, str]:
    place, text = _placed(mistake, scenario.stack.routing)
    return ("stack", "routing", *place), text


def _placed(mistake: str, content: object) -> tuple[Place, str]:
    """Split a mistake of a service, such as `rules[0] (day).agent: is missing`, into its place in the content and its
    text.
    """
    place: list[int | str] = []
    while (step := _step(mistake, content)) is not None:
        part, content, mistake = step
        place.append(part)
    return tuple(place), mistake.lstrip(" :")


def _step(rest: str, content: object) -> tuple[int | str, object, str] | None:
    """Return the next part of a place, the content there, and what follows; None at the end of the place."""
    if not isinstance(content, Mapping) and (match := re.match(r"\[(\d+)\]|\.(\d+)", rest)):
        index = int(match[1] or match[2])
        entry = content[index] if isinstance(content, list) and index < len(content) else None
        name = entry.get("name", entry.get("label")) if isinstance(entry, Mapping) else None
        return index, entry, rest[match.end() :].removeprefix(f" ({name})")
    rest = rest.removeprefix(".")
    if isinstance(content, Mapping):
        names = [name for name in map(str, content) if re.match(rf"{re.escape(name)}(?=[.:\[]| \(|$)", rest)]
        if names:
            name = max(names, key=len)
            return name, content.get(name), rest[len(name) :]
    # A field that is missing in the content.
    missing = re.match(r"\w+(?=[:.\[]| \()", rest)
    return (missing[0], None, rest[missing.end() :]) if missing else None
