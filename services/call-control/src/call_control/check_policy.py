"""`python -m call_control.check_policy FILE`: checks a routing policy without starting the service.

Prints a JSON object with the `agents` that each rule names, the names of the `targets` and the `mistakes`, and exits
with code 2 if there are any.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from call_control.core.policy.policy_text import PolicyError
from call_control.core.policy.routing_policy import Rule
from call_control.settings import load_policy


def main(argv: Sequence[str]) -> int:
    agents: dict[str, list[str]] = {}
    targets: list[str] = []
    mistakes: list[str] = []
    try:
        policy = load_policy(Path(argv[0]))
        agents = {_place(number, rule): _agents(rule) for number, rule in enumerate(policy.rules)}
        targets = list(policy.targets)
    except PolicyError as error:
        mistakes += error.mistakes
    json.dump({"agents": agents, "targets": targets, "mistakes": mistakes}, sys.stdout)
    return 2 if mistakes else 0


def _place(number: int, rule: Rule) -> str:
    """The location of a rule, as in errors of the policy."""
    return f"rules[{number}] ({rule.name})"


def _agents(rule: Rule) -> list[str]:
    return [*([rule.agent] if rule.agent else []), *(rule.agents or {})]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
