"""Arguments of actions: valid ones, and the faults of invalid ones."""

from __future__ import annotations

import pytest

from bridge_common.wire.action_kinds import fault_of


@pytest.mark.parametrize(
    ("action", "arguments", "fault"),
    [
        ("hang_up", "{}", ""),
        ("hang_up", "", ""),
        ("hang_up", '{"reason":5}', "reason must be a string of at most 1000 characters"),
        ("send_dtmf", '{"tones":"12*#AD"}', ""),
        ("send_dtmf", '{"tones":""}', "tones must be 1 to 18 of 0-9, A-D, * and #"),
        ("send_dtmf", '{"tones":"1\\n"}', "tones must be 1 to 18 of 0-9, A-D, * and #"),
        ("send_dtmf", '{"tones":"1111111111111111111"}', "tones must be 1 to 18 of 0-9, A-D, * and #"),
        ("send_dtmf", "{}", "tones must be 1 to 18 of 0-9, A-D, * and #"),
        ("note", '{"text":" "}', "text must have 1 to 1000 characters"),
        ("note", "nonsense", "arguments are not valid JSON"),
        ("note", "[]", "arguments are not a JSON object"),
        ("dance", "{}", "unknown action 'dance'; use hang_up, send_dtmf, note, disposition"),
    ],
)
def test_faults(action: str, arguments: str, fault: str) -> None:
    assert fault_of(action, arguments) == fault
