"""Callbacks at the URL of another call."""

from __future__ import annotations

import pytest

from bridge_common.wire.call_record import Status
from call_control.call_telemetry import foreign_log
from call_control.core.machine.call_events import KNOWN_CALLBACKS
from tests.support.eventually import eventually
from tests.support.recorded_spans import Growth
from tests.support.switchboard import PhoneCall, Switchboard

FOREIGN = "9f0c7e11-0000-4000-8000-000000000000"


@pytest.fixture(autouse=True)
def every_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(foreign_log, "filters", [])


async def test_a_foreign_hang_up_is_counted_and_changes_nothing(
    board: Switchboard, caplog: pytest.LogCaptureFixture
) -> None:
    """Regression: with a token for the ACS resource, any call with a known id could be ended."""
    call, grown = PhoneCall(), Growth()
    connection_id = await board.connect(call)
    before = await board.store.load(call.call_id)
    forged = [call.callback(type_, FOREIGN) for type_ in sorted(KNOWN_CALLBACKS)]
    nameless: dict[str, object] = {"type": "Microsoft.Communication.CallDisconnected", "data": None}
    correlated = call.callback("CallDisconnected", connection_id, correlationId="another")
    reply = await board.call_back(call, *forged, nameless, correlated)
    assert (reply.status_code, reply.json()) == (200, {"received": len(forged) + 2})
    await eventually(board.idle)
    assert await board.store.load(call.call_id) == before
    assert grown('bridge_foreign_callbacks_total{kind="CallDisconnected"}') == 3
    lines = [line.__dict__["bridge_fields"] for line in caplog.records if line.name == "call_control.foreign_callbacks"]
    assert len(lines) == len(forged) + 2
    assert {line["differs"] for line in lines} == {"callConnectionId", "correlationId"}
    await board.call_back(call, call.callback("CallDisconnected", connection_id))
    await board.reaches(call, Status.ENDED)


@pytest.mark.parametrize("correlation_id", ["of the leg", None])
async def test_callbacks_may_have_a_correlation_id_of_their_own_or_none(
    board: Switchboard, correlation_id: str | None
) -> None:
    """ACS does not document that the correlation id is that of the IncomingCall event."""
    call = PhoneCall()
    await board.ring(call)
    await board.voice_ready(call)
    connection_id = await board.answered(call)
    await board.call_back(call, call.callback("CallConnected", connection_id, correlationId=correlation_id))
    record = await board.reaches(call, Status.CONNECTED)
    assert record.callback_correlation_id == (correlation_id or "")
    await board.call_back(call, call.callback("CallDisconnected", connection_id, correlationId=correlation_id))
    await board.reaches(call, Status.ENDED)
