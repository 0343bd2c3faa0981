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


@pytest.mark.parametrize(
    ("name", "allowed", "fault"),
    [
        ("a", (), ""),
        ("a", ("a", "c"), ""),
        ("b", ("a", "c"), "this call may not use the target 'b'; the targets are a"),
        ("c", ("a", "c"), "the routing policy has no target 'c'; the targets are a"),
        ("a", ("c",), "the routing policy has no targets that this call may use"),
    ],
)
def test_a_profile_limits_the_targets(name: str, allowed: tuple[str, ...], fault: str) -> None:
    assert unknown_target("transfer", {"target": name}, ("a", "b"), allowed) == fault
