"""Requests of Foundry agents below HTTP: the answer follows from the call's record."""

from __future__ import annotations

import pytest

from bridge_common.store.call_references import CallReferences
from bridge_common.wire.call_reference import ReferredCall
from call_control.agent_actions import AgentActions
from call_control.core.agent_requests import MANY_UNKNOWN_REFERENCES, UNKNOWN_REFERENCE
from call_control.core.policy.routing import Routed, Routing
from tests.support.switchboard import PhoneCall, Switchboard

REFERENCE = "7QK4-M2X9-RD"


class NoPolicy:
    async def routing(self) -> Routing:
        return Routing()

    def count(self, routed: Routed) -> None:
        pass


async def test_an_ended_call_is_named_as_such(board: Switchboard) -> None:
    call, references = PhoneCall(), CallReferences(board.redis)
    connection_id = await board.connect(call)
    await references.bind(REFERENCE, ReferredCall(call.call_id, ("end_call",)))
    agents = AgentActions(board.store, references, board.inbox, NoPolicy())
    await board.call_back(call, call.callback("CallDisconnected", connection_id))
    await board.released(call)
    answer = await agents.act("key 1", "end_call", {"call": REFERENCE, "reason": "done"})
    assert answer["ok"] is False
    assert answer["reason"] in ("The call has ended.", "The call is not connected.")


async def test_unknown_references_of_one_call_do_not_block_the_others(
    board: Switchboard, caplog: pytest.LogCaptureFixture
) -> None:
    call, references = PhoneCall(), CallReferences(board.redis)
    await board.connect(call)
    await references.bind(REFERENCE, ReferredCall(call.call_id, ("add_note",)))
    agents = AgentActions(board.store, references, board.inbox, NoPolicy())
    reasons = [(await agents.act("key 1", "add_note", {"call": "0000-0000-00"}))["reason"] for _ in range(20)]
    assert reasons == [UNKNOWN_REFERENCE] * 3 + [MANY_UNKNOWN_REFERENCES] * 17
    assert caplog.messages.count("tool call with an unknown call reference") == 3
    assert (await agents.act("key 1", "add_note", {"call": REFERENCE, "text": "a"}))["ok"] is True
    assert (await agents.act("key 2", "add_note", {"call": "0000-0000-00"}))["reason"] == UNKNOWN_REFERENCE
