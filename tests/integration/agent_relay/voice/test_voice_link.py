from __future__ import annotations

import asyncio
import contextlib

import pytest

from agent_relay.core.protocol import voice_events as vl
from agent_relay.voice.uplink_audio import UplinkAudio
from agent_relay.voice.voice_link import Dialer, VoiceLink
from bridge_common.base.errors import AuthError, OutsideError
from tests.integration.support.relay_call import TokenMint, agent_target, minted_tokens, model_target
from tests.integration.support.scripted_voice_live import Script, ScriptedVoiceLive, Step, created, scripted
from tests.support.eventually import eventually


class Line:
    """A link on its own audio."""

    def __init__(self) -> None:
        self.audio = UplinkAudio()
        self.events: list[vl.ServerEvent] = []
        self.link: VoiceLink

    async def open(self, service: ScriptedVoiceLive) -> asyncio.Task[OutsideError]:
        socket = await Dialer(model_target(service.url), minted_tokens()).dial("req-1", "")
        self.link = VoiceLink(socket, self.audio, self.events.append)
        return asyncio.create_task(self.link.run())


async def test_events_and_commands_keep_their_order() -> None:
    steps = [Step("session.update"), Step("response.create", [{"type": "response.created", "response": {"id": "r"}}])]
    async with scripted(Script(greets=[created()], steps=steps)) as service:
        line = Line()
        running = await line.open(service)
        line.link.send(vl.update_session({}, "update-1"))
        line.link.send(vl.create_response())
        await eventually(lambda: len(line.events) == 2)
        assert line.events[1] == vl.ResponseCreated("r")
        await service.sessions[0].close(1001, "session_expired")
        assert "1001" in (await running).message


async def test_audio_waits_until_it_may_flow() -> None:
    async with scripted(Script(steps=[Step("response.create")])) as service:
        line = Line()
        running = await line.open(service)
        line.audio.add(bytes(960))
        line.link.send(vl.create_response())
        await eventually(lambda: service.sessions[0].used)
        assert not service.sessions[0].audio
        line.link.start_audio()
        await eventually(lambda: len(service.sessions[0].audio) == 960)
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
        connection = service.sessions[0].connection
        assert connection is not None
        await asyncio.wait_for(connection.wait_closed(), 10)


async def test_an_abandoned_session_is_closed() -> None:
    async with scripted(Script()) as service:
        line = Line()
        running = await line.open(service)
        why = OutsideError("stalled", retry=True)
        line.link.abandon(why)
        line.link.abandon(OutsideError("again", retry=True))
        assert await running is why


async def test_an_abandoned_session_can_be_closed_in_the_background() -> None:
    async with scripted(Script()) as service:
        line = Line()
        running = await line.open(service)
        aside: list[asyncio.Task[None]] = []
        line.link.abandon(
            OutsideError("rolled over", retry=True), lambda closing: aside.append(asyncio.create_task(closing))
        )
        await running
        connection = service.sessions[0].connection
        assert connection is not None
        assert not aside[0].done()
        await aside[0]
        await asyncio.wait_for(connection.wait_closed(), 10)


async def test_a_refused_token_is_replaced_once() -> None:
    mint = TokenMint()
    async with scripted(Script(refuses=401), Script()) as service:
        socket = await Dialer(agent_target(service.url), minted_tokens(mint)).dial("req-1", "conv_1")
        bearers = [session.headers["Authorization"] for session in service.sessions]
        assert bearers == ["Bearer token-1", "Bearer token-2"]
        assert [session.headers["x-ms-client-request-id"] for session in service.sessions] == ["req-1", "req-1"]
        await socket.close()


async def test_a_second_refused_token_is_an_error() -> None:
    async with scripted(Script(refuses=401), Script(refuses=401)) as service:
        with pytest.raises(AuthError):
            await Dialer(agent_target(service.url), minted_tokens()).dial("req-1", "")


async def test_a_refused_key_is_not_retried() -> None:
    async with scripted(Script(refuses=401)) as service:
        with pytest.raises(AuthError):
            await Dialer(model_target(service.url), minted_tokens()).dial("req-1", "")


async def test_an_exception_of_the_call_ends_its_session_and_is_raised() -> None:
    async with scripted(Script(greets=[created(), created("sess_2")])) as service:
        line = Line()
        seen: list[vl.ServerEvent] = []

        def fail(event: vl.ServerEvent) -> None:
            seen.append(event)
            raise LookupError("a fault of ours")

        socket = await Dialer(model_target(service.url), minted_tokens()).dial("req-1", "")
        link = VoiceLink(socket, line.audio, fail)
        with pytest.raises(LookupError, match="ours"):
            await link.run()
        assert len(seen) == 1, "nothing follows a fault"
        connection = service.sessions[0].connection
        assert connection is not None
        await asyncio.wait_for(connection.wait_closed(), 10)


async def test_malformed_events_are_dropped_and_counted() -> None:
    async with scripted(Script()) as service:
        line = Line()
        running = await line.open(service)
        await eventually(lambda: service.sessions[0].connection)
        connection = service.sessions[0].connection
        assert connection is not None
        for message in ("nonsense", '{"type":"response.audio.delta"}', b"\xff\xfe", '{"type":"response.created"}'):
            await connection.send(message)
        await service.sessions[0].push(created())
        await eventually(lambda: line.events)
        assert isinstance(line.events[0], vl.SessionCreated)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_data_that_a_slow_service_does_not_read_is_sent_in_order_later() -> None:
    async with scripted(Script(steps=[Step("response.create"), Step("response.cancel")])) as service:
        line = Line()
        running = await line.open(service)
        await eventually(lambda: service.sessions[0].connection)
        line.link.start_audio()
        connection = service.sessions[0].connection
        assert connection is not None
        connection.transport.pause_reading()
        frame, passed = bytes(9600), 0
        while not line.audio:
            line.link.send_audio(frame)
            passed += 1
            assert passed < 10_000
        line.link.send(vl.create_response())
        line.link.send({"type": "response.cancel"})
        connection.transport.resume_reading()
        await eventually(lambda: service.sessions[0].used == 2)
        await eventually(lambda: len(service.sessions[0].audio) == passed * 9600)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
