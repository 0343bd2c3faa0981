from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bridge_common.base.errors import InputError
from call_control.core.policy.policy_text import decode_policy
from call_control.core.policy.routing import Routing
from call_control.core.routing_preview import decode_preview, incoming_call, preview

NOW = datetime(2026, 12, 24, 12, tzinfo=UTC)
POLICY = decode_policy(
    {
        "human_agents": {"phone": "+18005550000"},
        "time_zone": "Europe/Berlin",
        "rules": [
            {"name": "sales", "called": "+18005550001", "agent": "sales"},
            {"name": "gold", "header": {"X-Tier": "gold"}, "agent": "gold"},
            {"name": "eve", "holidays": "12-24", "reject": "busy"},
            {"name": "nobody", "percent": 0, "agent": "test"},
            {"name": "rest", "redirect": "human_agents"},
        ],
    }
)
ROUTING = Routing(key=b"a key for the tests of the preview", policy=POLICY)


def _preview(
    routing: Routing = ROUTING, calls: Mapping[str, int] | None = None, **request: object
) -> dict[str, object]:
    body = json.dumps({"caller": "+14255550100", "callee": "+18005551212"} | request).encode()
    call = incoming_call(decode_preview(body), NOW, routing.policy)
    return preview(routing, call, routing.options(call), calls or {})


def test_the_decision_and_the_rules_before_it() -> None:
    assert _preview(at="2026-12-25T12:00:00+01:00") == {
        "action": "redirect",
        "rule": "rest",
        "reason": "redirect (not nobody: 0 %, bucket 67.31)",
        "target": "4:+18005550000",
        "limited_rules": [],
        "passed_rules": [
            {"rule": "sales", "condition": "called"},
            {"rule": "gold", "condition": "header"},
            {"rule": "eve", "condition": "time"},
            {"rule": "nobody", "condition": "percent"},
        ],
    }


def test_headers_and_time() -> None:
    gold = _preview(headers={"x-tier": "Gold"})
    assert (gold["action"], gold["rule"], gold["agent"]) == ("agent", "gold", "gold")
    eve = _preview()
    assert (eve["action"], eve["rule"], eve["reject"]) == ("reject", "eve", "busy")
    assert _preview(at="2026-12-23T23:30:00Z")["rule"] == "eve", "it is midnight in Berlin"


def test_settings_that_decide_without_a_rule() -> None:
    found = _preview(Routing(profile="front-desk"))
    assert (found["rule"], found["agent"], found["passed_rules"]) == ("DEFAULT_PROFILE", "front-desk", [])
    refused = Routing(policy=POLICY, refused_callers=frozenset({"+14255550100"}))
    assert (_preview(refused)["rule"], _preview(refused)["passed_rules"]) == ("REFUSED_CALLERS", [])


def test_full_rules() -> None:
    rules = [
        {"name": "gold", "caller": "+1999*", "agent": "gold", "max_calls": 1},
        {"name": "sales", "agent": "sales", "max_calls": 5},
        {"name": "desk", "agent": "desk", "max_calls": 2, "wait": 10},
        {"name": "rest", "reject": "busy"},
    ]
    routing = Routing(policy=decode_policy({"rules": rules}))
    free = _preview(routing, {"sales": 4, "desk": 0})
    assert (free["rule"], free["limited_rules"]) == ("sales", [{"rule": "sales", "calls": 4, "max_calls": 5}])
    assert "wait_s" not in free
    full = _preview(routing, {"sales": 5, "desk": 1})
    assert (full["rule"], full["wait_s"], full["waits_for_place"]) == ("desk", 10, False)
    assert full["reason"] == "agent desk (not sales: full, max_calls 5)"
    assert full["passed_rules"] == [
        {"rule": "gold", "condition": "caller"},
        {"rule": "sales", "condition": "max_calls"},
    ]
    waiting = _preview(routing, {"sales": 5, "desk": 4})
    assert (waiting["rule"], waiting["waits_for_place"]) == ("desk", True)
    assert waiting["limited_rules"] == [
        {"rule": "sales", "calls": 5, "max_calls": 5},
        {"rule": "desk", "calls": 4, "max_calls": 2},
    ]


@given(
    at=st.datetimes(timezones=st.timezones() | st.sampled_from([timezone(timedelta(hours=h)) for h in (-14, 0, 14)])),
    holidays=st.sampled_from(["12-24", "02-29", [{"country": "DE", "subdivision": "BY"}, {"country": "US"}]]),
    zone=st.sampled_from(["Europe/Berlin", "Pacific/Kiritimati", "Pacific/Pago_Pago"]),
)
@example(at=datetime.max.replace(tzinfo=UTC), holidays="12-24", zone="Europe/Berlin")
@example(at=datetime.min.replace(tzinfo=UTC), holidays="12-24", zone="Europe/Berlin")
@example(at=datetime.min.replace(tzinfo=timezone(timedelta(hours=14))), holidays="12-24", zone="Europe/Berlin")
@settings(deadline=None, max_examples=60)
def test_any_time_is_previewed_or_refused(at: datetime, holidays: object, zone: str) -> None:
    rules = [
        {"name": "day", "holidays": holidays, "agent": "a"},
        {"name": "late", "hours": "22:00-02:00", "agent": "b"},
        {"name": "rest", "agent": "c"},
    ]
    routing = Routing(policy=decode_policy({"time_zone": zone, "rules": rules}))
    if datetime(2000, 1, 1, tzinfo=UTC) <= at < datetime(2100, 1, 1, tzinfo=UTC):
        assert _preview(routing, at=at.isoformat())["rule"] in ("day", "late", "rest")
    else:
        with pytest.raises(InputError, match="at: "):
            _preview(routing, at=at.isoformat())


ACCOUNT = "28:orgid:3e9b2b1c-1a2b-4c3d-8e4f-0123456789ab"


@pytest.mark.parametrize("callee", ["Reception", "reception", "+18005550009", "4:+18005550009", ACCOUNT])
def test_a_resource_account_by_its_name_and_its_number(callee: str) -> None:
    policy = decode_policy(
        {
            "targets": {"billing": {"phone": "+18005550001"}},
            "resource_accounts": {"Reception": {"teams_app": ACCOUNT, "number": "+18005550009"}},
            "rules": [
                {"name": "other", "called": "+18005550008", "agent": "other"},
                {"name": "desk", "called": "reception", "redirect": "billing"},
                {"name": "rest", "agent": "rest"},
            ],
        }
    )
    found = _preview(Routing(policy=policy), callee=callee)
    assert (found["action"], found["rule"], found["target"]) == ("connect", "desk", "4:+18005550001")
    assert found["passed_rules"] == [{"rule": "other", "condition": "called"}]


@pytest.mark.parametrize("caller", ["", "anonymous", "4:anonymous"])
def test_a_hidden_number(caller: str) -> None:
    assert "call drawn at" in str(_preview(caller=caller, at="2026-12-25T12:00:00Z")["reason"])


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        (b"", "the body is not valid JSON (line 1, column 0)"),
        (b"[]", "the body: must be a JSON object"),
        (b"{}", "callee: is missing"),
        (b'{"callee": "+18005551212", "headers": {"X": "\\ud83d"}}', "the body is not valid JSON (line 1, column "),
        (b'{"callee": "1800"}', "callee: is neither +<number> nor a raw id"),
        (b'{"callee": "+18005551212", "caller": "x"}', "caller: is neither"),
        (b'{"callee": "+18005551212", "at": "2026-12-24T12:00:00"}', "at: has no time zone; write it as"),
        (b'{"callee": "+18005551212", "at": 0}', "at: must be a time with its time zone"),
        (b'{"callee": "+18005551212", "headers": {"X": 1}}', "headers.X: must be a string"),
        (
            b'{"callee": "+18005551212", "calee": "x"}',
            "calee: is unknown; known fields are caller, callee, headers, at",
        ),
    ],
)
def test_mistakes(body: bytes, fault: str) -> None:
    with pytest.raises(InputError) as caught:
        incoming_call(decode_preview(body), NOW, POLICY)
    assert fault in caught.value.message
