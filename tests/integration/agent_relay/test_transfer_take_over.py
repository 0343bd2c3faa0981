"""The relay of a call dies, or hands the call over, in the middle of a transfer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from agent_relay.core.protocol.agent_profile import AgentProfile
from agent_relay.core.protocol.transfer_profile import Confirmation, TransferProfile
from bridge_common.redis.clients import RedisClients
from bridge_common.wire.audio import bytes_of_ms
from bridge_common.wire.call_record import TransferStage
from bridge_common.wire.entries import Dtmf, Hold, ItemEnd, Listen, Played, Playing, VoiceLost
from tests.integration.support.relay_call import Call, RelayProcess, calls, model_target, relay_process
from tests.integration.support.scripted_voice_live import (
    Script,
    ScriptedVoiceLive,
    Session,
    Step,
    opened,
    reply,
    scripted,
    until_open,
)
from tests.integration.support.transferred_call import (
    PERSON,
    instruct,
    latest,
    record_stage,
    screenings,
    steps,
    until_equal,
    until_step,
    until_tone,
    words_over,
)
from tests.support.eventually import eventually

SECOND = bytes(bytes_of_ms(1000, 24_000))
QUESTION = "To take the call, press 1."
CONNECTING = "I am connecting you."
PROFILE = AgentProfile(
    greeting=None,
    transfer=TransferProfile(connecting_text=CONNECTING, confirm=Confirmation(key="1")),
)
TOLD = Step("conversation.item.create", where=lambda e: "Sales was busy." in str(e))


def says(text: str, response: str) -> Step:
    answer = reply(response, f"item of {response}", text, SECOND)
    return Step("response.create", answer, where=lambda e: text in str(e))


@pytest.fixture
async def call(clients: RedisClients) -> AsyncIterator[Call]:
    async with calls(clients) as ten:
        yield ten[0]


@asynccontextmanager
async def relays(clients: RedisClients, service: ScriptedVoiceLive, name: str) -> AsyncIterator[RelayProcess]:
    async with relay_process(clients, model_target(service.url), name=name, profile=PROFILE) as process:
        yield process


async def connected(call: Call, service: ScriptedVoiceLive) -> Session:
    await call.begin()
    session = await until_open(service, 0)
    await call.attach()
    call.speak()
    await eventually(call.announced)
    return session


async def heard(call: Call, response: str) -> None:
    item = f"item of {response}"
    await eventually(lambda: any(isinstance(e, ItemEnd) and e.item_id == item for e in call.downlink), what=item)
    call.send(Playing(item), Played(item, 1000, True))


async def test_the_words_before_the_transfer_are_spoken_by_the_next_relay(clients: RedisClients, call: Call) -> None:
    async with scripted(opened(), opened(says(CONNECTING, "r1"), session_id="sess_2")) as service:
        async with relays(clients, service, "relay-1") as first:
            await connected(call, service)
            await first.kill()
        await record_stage(call, TransferStage.CONNECTING)
        async with relays(clients, service, "relay-2"):
            await heard(call, "r1")
            await until_equal(lambda: words_over(call), [("act_1", "heard")])
            await call.end()


@pytest.mark.parametrize("stage", [TransferStage.DIALING, TransferStage.TRANSFERRING])
async def test_the_caller_waits_with_the_next_relay(clients: RedisClients, call: Call, stage: TransferStage) -> None:
    async with scripted(opened(), opened(session_id="sess_2")) as service:
        async with relays(clients, service, "relay-1") as first:
            await connected(call, service)
            await instruct(call, "waiting")
            await until_tone(call, on=True)
            await first.kill()
        await record_stage(call, stage)
        call.downlink.clear()
        async with relays(clients, service, "relay-2"):
            session = await until_open(service, 1)
            await until_tone(call, on=True)
            call.speak(50)
            await eventually(lambda: latest(call, Listen) == Listen("caller"))
            assert Hold(False) not in call.downlink
            assert not session.audio
            await instruct(call, "bridged")
            await until_tone(call, on=False)
            await call.end()


async def test_the_next_relay_asks_the_person_again(clients: RedisClients, call: Call) -> None:
    replayed = Step("conversation.item.create", where=lambda e: QUESTION in str(e))
    scripts = [opened(says(QUESTION, "r1")), opened(replayed, says(QUESTION, "r2"), session_id="sess_2")]
    async with scripted(*scripts) as service:
        async with relays(clients, service, "relay-1") as first:
            await connected(call, service)
            await instruct(call, "screening", name="sales")
            await heard(call, "r1")
            await first.kill()
        await record_stage(call, TransferStage.SCREENING)
        async with relays(clients, service, "relay-2"):
            await heard(call, "r2")
            call.send(Dtmf("1", PERSON))
            await until_equal(lambda: screenings(call), [("act_1", "confirmed")])
            await call.end()


async def test_people_talk_undisturbed_while_relays_change_and_voice_sessions_fail(
    clients: RedisClients, call: Call
) -> None:
    """The second relay finds no voice session for longer than its budget, then it gets one."""
    refused = [Script(refuses=503)] * 2
    async with scripted(opened(), *refused, opened(TOLD, says("", "r9"), session_id="sess_2")) as service:
        async with relays(clients, service, "relay-1") as first:
            await connected(call, service)
            await instruct(call, "bridged", name="sales")
            await eventually(lambda: latest(call, Listen) == Listen("caller", bridged=True))
            await first.kill()
        await record_stage(call, TransferStage.BRIDGED)
        call.downlink.clear()
        patient = relay_process(clients, model_target(service.url), name="relay-2", profile=PROFILE, budget_s=0.0)
        async with patient:
            await until_open(service, 3)
            call.speak(50)
            await eventually(lambda: latest(call, Listen) == Listen("caller", bridged=True))
            assert Hold(True) not in call.downlink
            assert not [entry for entry in await call.news() if isinstance(entry, VoiceLost)]
            assert not service.sessions[-1].audio
            await instruct(call, "returned", name="sales", reason="busy")
            await heard(call, "r9")
            call.speak(10)
            await eventually(lambda: len(service.sessions[-1].audio) >= 10 * 960, what="the agent hears the caller")
            await call.end()


async def test_the_next_relay_brings_the_agent_back_if_the_transfer_has_failed_meanwhile(
    clients: RedisClients, call: Call
) -> None:
    """The first relay dies before it reads the instruction, which the second one skips as outdated."""
    script = opened(TOLD, says("", "r9"), session_id="sess_2")
    async with scripted(opened(), script) as service:
        async with relays(clients, service, "relay-1") as first:
            await connected(call, service)
            await instruct(call, "waiting", name="sales")
            await until_step(call, "waiting")
            await first.kill()
        await record_stage(call, TransferStage.NONE)
        await instruct(call, "returned", name="sales", reason="busy")
        async with relays(clients, service, "relay-2"):
            await heard(call, "r9")
            assert await steps(call) == ["waiting", "returned"]
            await eventually(lambda: latest(call, Hold) == Hold(False))
            await call.end()


async def test_a_handed_over_call_goes_on_waiting(clients: RedisClients, call: Call) -> None:
    async with scripted(opened(), opened(session_id="sess_2")) as service, relays(clients, service, "relay-1") as here:
        await connected(call, service)
        await record_stage(call, TransferStage.DIALING)
        await instruct(call, "waiting")
        await until_tone(call, on=True)
        call.downlink.clear()
        async with relays(clients, service, "relay-2"):
            await asyncio.wait_for(here.worker.drain(), 8)
            session = await until_open(service, 1)
            call.speak(20)
            await until_tone(call, on=True)
            assert Hold(False) not in call.downlink
            await instruct(call, "bridged")
            await eventually(lambda: latest(call, Listen) == Listen("caller", bridged=True))
            assert not session.audio
            await call.end()
