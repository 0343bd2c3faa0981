from __future__ import annotations

import pytest

from call_control.core.policy.transfer_targets import unknown_target

KNOWN = ("billing", "second level")


@pytest.mark.parametrize(
    ("action", "arguments", "fault"),
    [
        ("transfer", {"target": "billing"}, ""),
        ("add_participant", {"target": "second level"}, ""),
        (
            "transfer",
            {"target": "Billing"},
            "the routing policy has no target 'Billing'; the targets are billing, second level",
        ),
        ("remove_participant", {"participant": "Billing"}, ""),
        ("note", {"text": "Billing"}, ""),
    ],
)
def test_only_names_of_the_policy_are_targets(action: str, arguments: dict[str, str], fault: str) -> None:
    assert unknown_target(action, arguments, KNOWN) == fault


def test_without_targets_and_with_many() -> None:
    assert unknown_target("transfer", {"target": "a"}, ()) == "the routing policy has no targets"
    many = unknown_target("transfer", {"target": "a"}, [f"name {number}" for number in range(200)])
    assert many.endswith("name 49")
