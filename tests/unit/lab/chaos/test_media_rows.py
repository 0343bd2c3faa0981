"""Each fault of a gateway is measured in each variant of ACS's behavior."""

from __future__ import annotations

from unittest.mock import Mock

import pytest

from lab.acs.settings import AcsSettings
from lab.chaos.media_rows import BEHAVIORS, GATEWAY_ROWS, ROLLING_ROWS
from lab.chaos.rows import ROWS


@pytest.mark.parametrize("name", ["gateway-crash", "gateway-drain", "rolling-restart"])
def test_a_row_is_there_in_every_behavior(name: str) -> None:
    names = {row.name for row in ROWS}
    assert {name, *(name + behavior.suffix for behavior in BEHAVIORS)} <= names


@pytest.mark.parametrize("row", [*GATEWAY_ROWS, *ROLLING_ROWS], ids=lambda row: row.name)
def test_the_behavior_is_valid_and_other_settings_of_the_row_are_kept(row) -> None:  # type: ignore[no-untyped-def]
    behavior = next((one for one in BEHAVIORS if row.name.endswith(one.suffix)), None)
    settings = AcsSettings.from_env(row.plan.extra.get("acs", {}))
    assert behavior is None or settings.media_redial != "same_url"
    assert (settings.media_loss_callback == "none") is (behavior is not None and not behavior.reports)
    assert row.plan.extra["media-gateway"]
    assert row.targets


@pytest.mark.parametrize(("calls", "failing"), [(1, 1), (4, 2), (20, 10)])
def test_as_many_dials_fail_as_a_gateway_has_calls(calls: int, failing: int) -> None:
    """With more, the dials after the restart of streaming would fail too, which is another fault."""
    once = next(behavior for behavior in BEHAVIORS if behavior.suffix == "-once")
    fleet = Mock()
    fleet.owners.return_value = {f"call_{number}": ("relay", 1) for number in range(calls)}
    once.before_fault(fleet)
    fleet.inject.assert_called_once_with("acs", {"media": {"refuse": True, "times": failing}})
