"""`python -m agent_relay.function_tools FILE [PROFILE]` prints the function tools of a profile as JSON, for the `tools`
of a Foundry voice agent's definition.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from agent_relay.profiles import DEFAULT, load_profiles
from bridge_common.base.errors import InputError


def main(arguments: Sequence[str]) -> int:
    if not 1 <= len(arguments) <= 2:
        return _failed("usage: python -m agent_relay.function_tools FILE [PROFILE]")
    path, name = arguments[0], (*arguments, DEFAULT)[1]
    try:
        profiles = load_profiles(Path(path))
    except InputError as error:
        return _failed(error.message)
    if name not in profiles:
        return _failed(f"{path} has no profile {name}; its profiles are {', '.join(profiles)}")
    sys.stdout.write(json.dumps(profiles[name].functions(), indent=2) + "\n")
    return 0


def _failed(message: str) -> int:
    sys.stderr.write(f"{message}\n")
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
