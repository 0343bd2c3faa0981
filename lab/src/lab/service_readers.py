"""Judges agent profiles and routing policies with the services' own readers, each in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from lab.wire import Json

PROFILES: Final = "profiles"
POLICY: Final = "policy"
_READERS: Final = {PROFILES: "agent_relay.check_profiles", POLICY: "call_control.check_policy"}
_INVALID: Final = 2


class ReaderError(RuntimeError):
    """The reader of a service could not run. The message contains the reason and the remedy."""


def read(kind: str, path: Path) -> Json:
    """Return what the reader found in a file: `mistakes`; of profiles, `profiles` and `targets`; of a policy, `agents`
    and `targets`. Raises `ReaderError`.
    """
    command = [sys.executable, "-m", _READERS[kind], str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode not in (0, _INVALID):
        last = (done.stderr.strip().splitlines() or ["no output"])[-1]
        raise ReaderError(f"could not be checked: {last}; run `make install`")
    found: Json = json.loads(done.stdout)
    # The reader of the profiles begins its message with the path.
    found["mistakes"] = [mistake.removeprefix(f"{path}").lstrip(": ") for mistake in found["mistakes"]]
    return found


def unknown_agents(policy: Json, profiles: Sequence[str]) -> Iterator[str]:
    """Yield a line, with its place in the policy, for each agent that is not one of the profiles."""
    for place, names in policy["agents"].items():
        for agent in names:
            if agent not in profiles:
                yield f"{place}: {agent} is not an agent profile; the profiles are {', '.join(profiles)}"


def unknown_targets(profiles: Json, targets: Sequence[str]) -> Iterator[str]:
    """Yield a line, with its place in the profiles, for each target that is not one of the policy's."""
    known = ", ".join(targets) or "none"
    for name, named in profiles["targets"].items():
        for target in named:
            if target not in targets:
                place = f"{name}.transfer.targets.{target}"
                yield f"{place}: is not a target in the routing policy; the targets are {known}"
