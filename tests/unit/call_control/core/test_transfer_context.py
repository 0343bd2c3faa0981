from __future__ import annotations

import json
from dataclasses import replace

import pytest

from bridge_common.wire.action_kinds import MAX_SUMMARY, MAX_TOPIC
from bridge_common.wire.call_record import CallAction, CallRecord, Status
from call_control.core.transfer_context import context_of

RECORD = CallRecord(
    call_id="call_0123456789abcdef01234567",
    status=Status.CONNECTED,
    caller="4:+14255550100",
    callee="4:+18005551212",
    caller_display_name="Ada Lovelace",
    custom_context=json.dumps({"sip_headers": {"User-To-User": "56a6"}, "voip_headers": {"X-Tier": "gold"}}),
)


def action(kind: str, state: str = "done", **arguments: str) -> CallAction:
    return CallAction("act-1", kind, json.dumps(arguments), "agent", 1, state)


def test_the_arguments_of_the_action_count_first() -> None:
    record = replace(RECORD, actions=(action("disposition", text="refund"), action("note", text="order 42")))
    context = context_of(record, action("transfer", target="billing", topic="Invoice", summary="Line one\r\nline two"))
    assert (context.topic, context.summary) == ("Invoice", "Line one line two")
    assert (context.call_id, context.caller, context.caller_name) == (record.call_id, record.caller, "Ada Lovelace")
    assert (context.sip_headers, context.voip_headers) == ({"User-To-User": "56a6"}, {"X-Tier": "gold"})


@pytest.mark.parametrize("given", [None, action("transfer", target="a"), action("transfer", topic="", summary=" ")])
def test_the_record_replaces_missing_arguments(given: CallAction | None) -> None:
    actions = (
        action("disposition", text="complaint"),
        action("note", text="order 42"),
        action("disposition", text="refund"),
        action("note", text="calls again!"),
        action("note", "failed", text="not stored"),
    )
    context = context_of(replace(RECORD, actions=actions), given)
    assert (context.topic, context.summary) == ("refund", "refund. order 42. calls again!")


@pytest.mark.parametrize(
    ("caller", "callee", "topic", "summary"),
    [
        (
            *("4:+14255550100", "4:+18005551212", "Call from +14255550100"),
            "Call from +14255550100 to +18005551212.",
        ),
        ("4:anonymous", "28:orgid:1-2", "Call from a hidden number", "Call from a hidden number to a Teams resource "),
        ("", "8:acs:r_u", "Call from a hidden number", "Call from a hidden number to 8:acs:r_u."),
    ],
)
def test_without_anything_the_parties_are_named(caller: str, callee: str, topic: str, summary: str) -> None:
    context = context_of(replace(RECORD, caller=caller, callee=callee, custom_context=""), None)
    assert context.topic == topic
    assert context.summary.startswith(summary)
    assert context.sip_headers == context.voip_headers == {}


def test_long_texts_are_cut_at_a_word() -> None:
    record = replace(RECORD, actions=(action("disposition", text="wants a refund for the order of last week, again"),))
    long = action("note", text="word " * 199)
    context = context_of(replace(record, actions=(*record.actions, long)), None)
    assert context.topic == record.actions[0].arguments[10:-2]
    assert len(context.topic) == MAX_TOPIC
    assert context.summary.endswith("word word…")
    assert len(context.summary) <= MAX_SUMMARY
    topic = context_of(replace(RECORD, actions=(action("disposition", text="x" * 60),)), None).topic
    assert topic == "x" * 47 + "…"


def test_control_characters_are_removed() -> None:
    text = "a\r\nX-Injected: 1\u2028b\u202ec\td"
    context = context_of(RECORD, action("transfer", topic=text, summary=text))
    assert context.topic == context.summary == "a X-Injected: 1 bc d"
