"""Control API for the people in a call."""

from __future__ import annotations

from azure.communication.callautomation import PhoneNumberIdentifier

from tests.contract.support.acs_stage import Stage

BOB = "4:+14255550177"


async def test_scripts_are_put_shown_and_deleted(stage: Stage) -> None:
    put = await stage.lab.put("/lab/people", json={"+14255550177": {"outcome": "busy"}, "8:orgid:ada": {}})
    assert put.status_code == 200
    shown = (await stage.lab.get("/lab/people")).json()
    assert {raw_id: script["outcome"] for raw_id, script in shown.items()} == {BOB: "busy", "8:orgid:ada": "answers"}
    assert (await stage.lab.delete("/lab/people")).status_code == 204
    assert (await stage.lab.get("/lab/people")).json() == {}


async def test_a_wrong_script_is_refused_with_its_faults(stage: Stage) -> None:
    wrong = await stage.lab.put("/lab/people", json={"bob": {}, "+14255550177": {"outcome": "maybe"}})
    assert wrong.status_code == 400
    assert len(wrong.json()["error"]) == 2


async def test_only_people_in_the_call_can_act(stage: Stage) -> None:
    call_id, connection = await stage.connected()
    for path, body in (("hangup", {}), ("dtmf", {"tones": "1"}), ("say", {"text": "Hello"})):
        absent = await stage.lab.post(f"/lab/calls/{call_id}/parties/{BOB}/{path}", json=body)
        assert (absent.status_code, absent.json()) == (409, {"error": f"{BOB!r} is not in the call"})
    unknown = await stage.lab.post(f"/lab/calls/none/parties/{BOB}/hangup")
    assert unknown.status_code == 404
    await stage.people(p177={"after_s": 0.0, "audio": "marks", "mark": 7})
    await connection.add_participant(
        PhoneNumberIdentifier("+14255550177"), source_caller_id_number=PhoneNumberIdentifier("+18005551212")
    )
    await stage.reception.event("AddParticipantSucceeded")
    speaks = await stage.lab.post(f"/lab/calls/{call_id}/parties/+14255550177/say", json={"text": "Hello"})
    assert speaks.status_code == 409
    assert "numbered frames" in speaks.json()["error"]
    [invited] = await stage.invitations(call_id)
    assert invited["outcome"] == "answered"
