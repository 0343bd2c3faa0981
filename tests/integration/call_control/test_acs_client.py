"""Requests of call-control to ACS on the wire, against a scripted server."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from call_control.acs_client import AcsClient, MediaFormat
from call_control.core.connection_string import parse_connection_string
from tests.support.scripted_acs import ScriptedAcs

MEDIA = MediaFormat("pcm16k", "mixed")


@pytest.fixture
async def client(acs: ScriptedAcs) -> AsyncIterator[AcsClient]:
    client = AcsClient(parse_connection_string(acs.connection_string), MEDIA, deadline_s=2)
    yield client
    await client.aclose()


async def test_commands_on_the_wire(client: AcsClient, acs: ScriptedAcs) -> None:
    connection = await client.answer(
        "context",
        callback_url="http://c/cb",
        media_url="ws://m/ws",
        operation_context="Answer-1",
        request_id="id-1",
    )
    connection_id = connection.connection_id
    assert connection_id == acs.connections["context"]
    await client.start_media_streaming(connection_id, operation_context="StartMediaStreaming-2")
    await client.stop_media_streaming(connection_id, operation_context="StopMediaStreaming-3")
    assert (await client.look_up(connection_id)).state == "connecting"
    await client.hang_up(connection_id, request_id="id-4")
    await client.reject("context", "busy", request_id="id-5")
    await client.redirect("context", "8:orgid:1-2", request_id="id-6")
    assert [asked.operation for asked in acs.asked] == [
        "answer",
        "startMediaStreaming",
        "stopMediaStreaming",
        "look up",
        "terminate",
        "reject",
        "redirect",
    ]
    assert [asked.request_id for asked in acs.asked] == ["id-1", "", "", "", "id-4", "id-5", "id-6"]
    assert all(asked.connection_id == connection_id for asked in acs.asked[:5])
    assert acs.asked[0].headers["authorization"].startswith("HMAC-SHA256 ")
    assert acs.asked[1].body == {"operationContext": "StartMediaStreaming-2"}


@pytest.mark.parametrize(
    "target", ["4:+18005550000", "8:acs:r_u", "8:orgid:1-2", "28:orgid:1-2", "8:acs:r_t_u", "8:gcch:1-2"]
)
async def test_every_kind_of_target(client: AcsClient, acs: ScriptedAcs, target: str) -> None:
    await client.redirect("context", target, request_id="id")
    sent = acs.asked[0].body["target"]
    assert isinstance(sent, dict)
    assert sent["rawId"] == target
