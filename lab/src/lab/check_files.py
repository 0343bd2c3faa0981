"""`lab check`: checks agent profiles and a routing policy with the services' own readers, without a stack."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from lab.wire import Json

_POLICY_KEYS: Final = re.compile(
    r"^(rules|human_agents|people|kill_switch|everyone_to_people|time_zone)\s*:", re.MULTILINE
)
_READERS: Final = {"profiles": "agent_relay.check_profiles", "policy": "call_control.check_policy"}
_INVALID: Final = 2


def check_files(paths: Sequence[Path]) -> int:
    """Print what each file contains, or its mistakes. Return exit code 2 if there are any."""
    kinds = {path: _kind_of(path) for path in paths}
    found = {path: _read(kind, path) for path, kind in kinds.items()}
    mistakes = [f"{path}: {mistake}" for path in paths for mistake in found[path]["mistakes"]]
    files = [path for path in paths if kinds[path] == "profiles" and not found[path]["mistakes"]]
    policies = [path for path in paths if kinds[path] == "policy" and not found[path]["mistakes"]]
    profiles = [name for path in files for name in found[path]["profiles"]]
    for policy in policies:
        mistakes += [fault for path in files for fault in _unknown_targets(path, found[path], found[policy])]
    for path in paths:
        if found[path]["mistakes"]:
            continue
        if kinds[path] == "profiles":
            print(f"{path}: {len(found[path]['profiles'])} agent profiles: {', '.join(found[path]['profiles'])}")
            continue
        agents = found[path]["agents"]
        print(f"{path}: a routing policy with {len(agents)} rules")
        if files:
            mistakes += _unknown(path, agents, profiles)
        elif "profiles" not in kinds.values():
            print(f"{path}: the agents were not compared; give the file of the profiles as well")
    for mistake in mistakes:
        print(mistake, file=sys.stderr)
    return _INVALID if mistakes else 0


def _unknown(path: Path, agents: dict[str, list[str]], profiles: Sequence[str]) -> list[str]:
    known = ", ".join(profiles)
    return [
        f"{path}: {place}: {agent} is not an agent profile; the profiles are {known}"
        for place, names in agents.items()
        for agent in names
        if agent not in profiles
    ]


def _unknown_targets(path: Path, profiles: Json, policy: Json) -> list[str]:
    known = ", ".join(policy["targets"]) or "none"
    return [
        f"{path}: {name}.transfer.targets.{target}: is not a target in the routing policy; the targets are {known}"
        for name, targets in profiles["targets"].items()
        for target in targets
        if target not in policy["targets"]
    ]


def _kind_of(path: Path) -> str:
    """Distinguish the files by their first level, also if they are not valid YAML."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return "profiles"  # its reader reports the error
    return "policy" if _POLICY_KEYS.search(text) else "profiles"


def _read(kind: str, path: Path) -> Json:
    command = [sys.executable, "-m", _READERS[kind], str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode not in (0, _INVALID):
        last = (done.stderr.strip().splitlines() or ["no output"])[-1]
        return {"mistakes": [f"could not be checked: {last}; run `make install`"]}
    found: Json = json.loads(done.stdout)
    # The reader of the profiles begins its message with the path.
    found["mistakes"] = [mistake.removeprefix(f"{path}").lstrip(": ") for mistake in found["mistakes"]]
    return found
