"""The cast of a repetition, and the agent profiles of all parts."""

from __future__ import annotations

import json
from collections import Counter

from lab.chaos.acting_roles import COPIES, LEAD, PARTS, PROFILES, ROLES, ROUTING, cast


def test_every_part_has_its_own_agent_number_and_profile() -> None:
    assert len(PARTS) == COPIES * len(ROLES)
    for values in ([part.agent for part in PARTS], [part.called for part in PARTS], [part.name for part in PARTS]):
        assert len(set(values)) == len(PARTS)
    rules = json.loads(ROUTING)["rules"]
    assert {rule.get("called"): rule["agent"] for rule in rules[:-1]} == {part.called: part.name for part in PARTS}
    assert set(json.loads(PROFILES)) == {part.name for part in PARTS}


def test_the_lead_is_always_cast_and_every_role_takes_turns() -> None:
    seen: Counter[str] = Counter()
    for turn in range(5):
        parts = list(cast(16, turn))
        assert len({part.name for part in parts}) == 16
        assert parts[0].role.name == LEAD
        seen.update(part.role.name for part in parts)
    assert set(seen) == {role.name for role in ROLES}
    assert min(seen.values()) >= 5
    assert {part.role.name for part in cast(16, 0) if part.copy} != {
        part.role.name for part in cast(16, 1) if part.copy
    }


def test_more_calls_than_parts_are_not_cast() -> None:
    assert len(list(cast(100, 0))) == len(PARTS)
