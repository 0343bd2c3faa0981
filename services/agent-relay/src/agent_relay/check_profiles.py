"""`python -m agent_relay.check_profiles FILE`: checks a file of agent profiles without starting the service.

Prints a JSON object with the names of the `profiles`, the `targets` of transfers that each names, and the `mistakes`,
and exits with code 2 if there are any. Hosts and secrets are not checked: they depend on the settings of the service.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from agent_relay.profiles import load_profiles
from bridge_common.base.errors import InputError


def main(argv: Sequence[str]) -> int:
    profiles: list[str] = []
    targets: dict[str, list[str]] = {}
    mistakes: list[str] = []
    try:
        found = load_profiles(Path(argv[0]))
        profiles = list(found)
        targets = {name: list(profile.transfer.targets) for name, profile in found.items() if profile.transfer.targets}
    except InputError as error:
        mistakes.append(error.message)
    json.dump({"profiles": profiles, "targets": targets, "mistakes": mistakes}, sys.stdout)
    return 2 if mistakes else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
