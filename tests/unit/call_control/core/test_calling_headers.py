"""The context in the form of each kind of target, within the limits of ACS."""

from __future__ import annotations

import json
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge_common.wire.call_record import CallAction, CallRecord, Status
from call_control.core.calling_headers import calling_headers
from call_control.core.transfer_context import TransferContext, context_of

PHONE, USER = "4:+14255550177", "8:acs:r_u"
CONTEXT = TransferContext(
    "Refund", "Wants a refund for order 42.", "call_1", caller="4:+14255550100", caller_name="Ada Lovelace"
)
TEAMS = (
    *("8:orgid:1-2", "8:gcch:1-2", "8:dod:1-2", "28:orgid:1-2", "28:gcch:1-2", "28:dod:1-2"),
    *("8:acs:r_t_u", "8:gcch-acs:r_t_u", "8:dod-acs:r_t_u"),
)


def summary_in(sip: dict[str, str]) -> str:
    return unquote("".join(sip.get(f"X-MS-Custom-Summary{number}", "") for number in ("", 2, 3)))


def test_phones_get_sip_headers_only() -> None:
    shown = calling_headers(CONTEXT, PHONE)
    assert shown.sip == {
        "X-MS-Custom-Topic": "Refund",
        "X-MS-Custom-Call": "call_1",
        "X-MS-Custom-Summary": "Wants a refund for order 42.",
    }
    assert (shown.voip, shown.teams) == ({}, None)


@pytest.mark.parametrize("user", [USER, "8:gcch-acs:r_u", "8:dod-acs:r_u", "8:spool:x"])
def test_users_of_acs_get_voip_headers_only(user: str) -> None:
    shown = calling_headers(CONTEXT, user)
    assert shown.voip == {"Topic": "Refund", "Summary": "Wants a refund for order 42.", "Call": "call_1"}
    assert (shown.sip, shown.teams) == ({}, None)


@pytest.mark.parametrize("target", TEAMS)
def test_teams_gets_the_details_and_a_voip_header(target: str) -> None:
    shown = calling_headers(CONTEXT, target)
    assert shown.voip["Topic"] == "Refund"
    assert shown.teams is not None
    assert (shown.teams.topic, shown.teams.summary, shown.teams.session_id) == (
        CONTEXT.topic,
        CONTEXT.summary,
        "call_1",
    )
    assert (shown.teams.caller, shown.teams.caller_name) == ("4:+14255550100", "Ada Lovelace")
    assert calling_headers(TransferContext(call_id="call_1"), target).voip == {"Call": "call_1"}, (
        "never without a header"
    )


@pytest.mark.parametrize("caller", ["", "4:anonymous", "8:acs:r_x"])
def test_callers_without_a_number_are_not_in_the_details(caller: str) -> None:
    teams = calling_headers(TransferContext(call_id="c", caller=caller), TEAMS[0]).teams
    assert teams is not None
    assert teams.caller == ""


def test_a_long_summary_is_divided_and_can_be_joined_again() -> None:
    summary = ("The customer has ordered twice and wants 50% of it back, " * 9)[:500].strip()
    sip = dict(calling_headers(TransferContext("t", summary, "call_1"), PHONE).sip)
    assert len(sip) == 5
    assert summary_in(sip) == summary
    assert all(value == value.strip() for value in sip.values())


def test_other_characters_are_encoded_as_a_whole() -> None:
    sip = dict(calling_headers(TransferContext("Grüße", "€" * 500, "call_1"), PHONE).sip)
    assert sip["X-MS-Custom-Topic"] == "Gr%C3%BC%C3%9Fe"
    assert summary_in(sip) == "€" * (3 * (250 // 9)), "three headers of whole characters"


def test_headers_that_came_with_the_call_follow_ours() -> None:
    context = TransferContext(
        *("Refund", "Wants a refund.", "call_1"),
        sip_headers={
            "User-To-User": "56a6ec6e;encoding=hex",
            "X-MS-Custom-Tier": "gold",
            "X-MS-Custom-topic": "of the caller",
            "X-Branch": "Köln 100%",
            "X-Third": "no space left",
            "Bad Name": "a",
        },
        voip_headers={"x-branch": "the first one counts", "call": "of the caller", "n" * 65: "a"},
    )
    assert calling_headers(context, PHONE).sip == {
        "X-MS-Custom-Topic": "Refund",
        "X-MS-Custom-Call": "call_1",
        "X-MS-Custom-Summary": "Wants a refund.",
        "X-MS-Custom-Tier": "gold",
        "X-MS-Custom-X-Branch": "K%C3%B6ln 100%",
        "User-To-User": "56a6ec6e;encoding=hex",
    }
    assert calling_headers(context, USER).voip == {
        "Topic": "Refund",
        "Summary": "Wants a refund.",
        "Call": "call_1",
        "X-MS-Custom-Tier": "gold",
        "X-Branch": "Köln 100%",
        "X-Third": "no space left",
        "User-To-User": "56a6ec6e;encoding=hex",
    }


@pytest.mark.parametrize("value", ["a\r\nX-Injected: 1", "x" * 257, "ü", ""])
def test_user_to_user_is_forwarded_unchanged_or_not_at_all(value: str) -> None:
    context = TransferContext(call_id="c", sip_headers={"user-to-user": value})
    assert "User-To-User" not in calling_headers(context, PHONE).sip
    assert "User-To-User" not in calling_headers(context, USER).voip


_HEADERS = st.dictionaries(st.text(max_size=80) | st.sampled_from(["User-To-User", "X-A"]), st.text(max_size=600))
_TEXTS = st.text(max_size=600) | st.text("aé€\r\n %", max_size=600)


@given(topic=_TEXTS, summary=_TEXTS, sip=_HEADERS, voip=_HEADERS, target=st.sampled_from([PHONE, USER, *TEAMS]))
def test_limits_hold_for_any_context(
    topic: str, summary: str, sip: dict[str, str], voip: dict[str, str], target: str
) -> None:
    came = json.dumps({"sip_headers": sip, "voip_headers": voip})
    record = CallRecord(call_id="call_1", status=Status.CONNECTED, custom_context=came)
    arguments = json.dumps({"topic": topic, "summary": summary})
    context = context_of(record, CallAction("act-1", "transfer", arguments, "operator", 1))
    assert len(context.topic) <= 48
    assert len(context.summary) <= 500
    shown = calling_headers(context, target)
    assert bool(shown.sip) != bool(shown.voip)
    assert sum(name != "User-To-User" for name in shown.sip) <= 5
    for name, value in shown.sip.items():
        assert len(name) <= 64
        assert len(value) <= 256
        assert value.isascii()
        assert value.isprintable()
        assert name == "User-To-User" or name.startswith("X-MS-Custom-")
        unquote(value, errors="strict")
    for name, value in shown.voip.items():
        assert 0 < len(name) <= 64
        assert len(value) <= 1024
        assert not set(name + value) & set("\r\n\0")


def test_headers_of_the_caller_beyond_the_limit_are_dropped() -> None:
    came = {f"h{number}": "x" * 500 for number in range(10)} | {"User-To-User": "0123;encoding=hex", "last": "y"}
    context = TransferContext("Refund", "s" * 500, "call_1", voip_headers=came)
    shown = calling_headers(context, USER).voip
    assert sum(len(name) + len(value) for name, value in shown.items()) <= 4_000
    assert (shown["Topic"], shown["User-To-User"]) == ("Refund", "0123;encoding=hex")
    assert [name for name in shown if name.startswith("h")] == [f"h{number}" for number in range(6)]
