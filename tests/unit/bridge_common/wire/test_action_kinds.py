"""Arguments of actions: valid ones, and the faults of invalid ones."""

from __future__ import annotations

import pytest

from bridge_common.wire.action_kinds import fault_of

WHAT = "the text of the arguments"
UNKNOWN = (
    "unknown action 'dance'; use hang_up, send_dtmf, note, disposition, transfer, add_participant, "
    "remove_participant, hold, resume, mute, return_to_agent"
)
CONTEXT = "unknown argument 'mode'; add_participant has only target, topic, summary"
PARTICIPANT = "participant must be `caller`, the name of a target in the routing policy, or a raw id"


@pytest.mark.parametrize(
    ("action", "arguments", "fault"),
    [
        ("hang_up", "{}", ""),
        ("hang_up", "", ""),
        ("hang_up", '{"reason":5}', "reason must be a string of 0 to 1000 characters"),
        ("send_dtmf", '{"tones":"12*#AD"}', ""),
        ("send_dtmf", '{"tones":""}', "tones must be 1 to 18 characters of 0-9, A-D, * and #"),
        ("send_dtmf", '{"tones":"1\\n"}', "tones must be 1 to 18 characters of 0-9, A-D, * and #"),
        ("send_dtmf", '{"tones":"1111111111111111111"}', "tones must be 1 to 18 characters of 0-9, A-D, * and #"),
        ("send_dtmf", "{}", "tones must be 1 to 18 characters of 0-9, A-D, * and #"),
        ("note", '{"text":"two\\nlines, \\ud83d\\ude00"}', ""),
        ("note", '{"text":" "}', "text must be a string of 1 to 1000 characters"),
        ("note", '{"text":"a\\u0000"}', "text must not contain control characters or a lone surrogate"),
        ("note", '{"text":"\\ud83d"}', f"{WHAT} contains a lone surrogate; send the complete character"),
        ("note", '{"text":"a","priority":1}', "unknown argument 'priority'; note has only text"),
        ("hang_up", '{"text":"a"}', "unknown argument 'text'; hang_up has only reason"),
        ("note", "nonsense", f"{WHAT} is not valid JSON"),
        ("note", "[]", f"{WHAT} is not a JSON object"),
        (
            "dance",
            "{}",
            UNKNOWN,
        ),
        ("transfer", '{"target":"billing"}', ""),
        ("transfer", '{"target":"billing","mode":"blind","topic":"refund","summary":"wants a refund"}', ""),
        ("transfer", "{}", "target must be the name of a target in the routing policy"),
        ("transfer", '{"target":"a\\r\\nb"}', "target must be the name of a target in the routing policy"),
        ("transfer", '{"target":"billing","mode":"warm"}', "mode must be blind or attended"),
        ("transfer", f'{{"target":"a","topic":"{"t" * 49}"}}', "topic must be a string of 0 to 48 characters"),
        ("transfer", f'{{"target":"a","summary":"{"s" * 501}"}}', "summary must be a string of 0 to 500 characters"),
        ("add_participant", '{"target":"billing","mode":"blind"}', CONTEXT),
        ("remove_participant", '{"participant":"4:+14255550177"}', ""),
        ("remove_participant", "{}", PARTICIPANT),
        ("hold", "{}", ""),
        ("resume", '{"participant":"caller"}', ""),
        ("mute", '{"participant":""}', PARTICIPANT),
        ("return_to_agent", "{}", ""),
        ("return_to_agent", '{"target":"a"}', "unknown argument 'target'; return_to_agent has no arguments"),
    ],
)
def test_faults(action: str, arguments: str, fault: str) -> None:
    assert fault_of(action, arguments) == fault
