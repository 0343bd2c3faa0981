from __future__ import annotations

import pytest
from pydantic import ValidationError

from lab.acs.call_ends import Outcome
from lab.acs.party_identifiers import Identifier
from lab.acs.people import CalleePlan, People, PeopleScripts


@pytest.mark.parametrize("outcome", ["answers", "voicemail"])
def test_a_person_and_a_voicemail_answer(outcome: Outcome) -> None:
    assert CalleePlan(outcome=outcome).failure() is None
    assert CalleePlan(outcome=outcome).rings_s(60.0) == (1.0, None)


@pytest.mark.parametrize(
    ("outcome", "code", "sub_code"),
    [
        *[("busy", 486, 560486), ("declined", 603, 560603), ("no_answer", 487, 10004), ("unreachable", 480, 10037)],
        *[("wrong_number", 404, 560404), ("network_error", 503, 560503), ("silent_client", 408, 10057)],
    ],
)
def test_the_other_outcomes_have_the_documented_codes(outcome: Outcome, code: int, sub_code: int) -> None:
    failure = CalleePlan(outcome=outcome).failure()
    assert failure is not None
    assert (failure.code, failure.sub_code, failure.reason) == (code, sub_code, outcome)
    assert f"DiagCode: {code}#{sub_code}.@" in failure.message


def test_a_script_can_choose_other_codes() -> None:
    failure = CalleePlan.model_validate({"outcome": "declined", "code": 200, "subCode": 5002}).failure()
    assert failure is not None
    assert (failure.code, failure.sub_code) == (200, 5002)
    assert failure.message == "Call was declined by the callee. DiagCode: 200#5002.@"


def test_a_phone_rings_until_the_person_answers_or_the_time_out() -> None:
    assert CalleePlan(after_s=2.0).rings_s(3.0) == (2.0, None)
    ring_s, failure = CalleePlan(after_s=4.0).rings_s(3.0)
    assert failure is not None
    assert (ring_s, failure.reason) == (3.0, "no_answer")
    ring_s, failure = CalleePlan(outcome="no_answer").rings_s(20.0)
    assert failure is not None
    assert (ring_s, failure.reason) == (20.0, "no_answer")
    assert CalleePlan(outcome="no_answer", after_s=0.5).rings_s(20.0)[0] == 0.5
    assert CalleePlan(outcome="busy").rings_s(20.0)[0] == 1.0


def test_a_voicemail_speaks_its_announcement() -> None:
    [step] = CalleePlan(outcome="voicemail").script()
    assert step.say is not None
    assert "leave a message" in step.say
    assert CalleePlan().script() == ()


def test_scripts_are_found_by_number_and_by_raw_id() -> None:
    people = People()
    people.put({"+14255550177": CalleePlan(outcome="busy"), "8:orgid:ada": CalleePlan(outcome="declined")})
    assert people.plan(Identifier("4:+14255550177")).outcome == "busy"
    assert people.plan(Identifier("8:orgid:ada")).outcome == "declined"
    assert people.plan(Identifier("4:+14255550178")).outcome == "answers"


@pytest.mark.parametrize("scripts", [{"bob": {}}, {"+14255550177": {"outcome": "maybe"}}])
def test_an_unknown_outcome_and_a_name_that_is_no_number_are_refused(scripts: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        PeopleScripts.model_validate(scripts)
