"""A call that is transferred: the test plays call-control, which reports the steps to the relay."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Awaitable, Callable

from bridge_common.wire.call_record import CallAction, Participant, TransferStage
from bridge_common.wire.entries import Act, Entry, GoodbyeOver, Hold, Instruct, Notice, ScreeningOver
from tests.integration.support.relay_call import Call
from tests.support.eventually import eventually

ACTION = CallAction("act_1", "transfer", '{"target":"sales","topic":"an order"}', "operator", 1, state="running")


PERSON = "4:+14255550199"


async def instruct(call: Call, what: str, action_id: str = "act_1", **detail: object) -> None:
    await call.says.instruct(call.call_id, Instruct(action_id, what, json.dumps(detail)))


async def record_stage(call: Call, stage: TransferStage) -> None:
    """Store the stage of the transfer; `NONE`: the transfer has failed, because the person was busy."""
    record = await call.store.load(call.call_id)
    assert record is not None
    over = stage is TransferStage.NONE
    action = dataclasses.replace(ACTION, state="failed", reason="busy") if over else ACTION
    transfer = "" if over else ACTION.id
    people = (Participant(PERSON, "sales", "joined", ACTION.id),) if stage is TransferStage.SCREENING else ()
    new = dataclasses.replace(record, transfer=transfer, transfer_stage=stage, actions=(action,), participants=people)
    assert await call.store.save(record, new)


async def acts(call: Call) -> list[Act]:
    return [entry for entry in await call.news() if isinstance(entry, Act)]


async def words_over(call: Call) -> list[tuple[str, str]]:
    return [(one.action_id, one.outcome) for one in await call.news() if isinstance(one, GoodbyeOver)]


async def screenings(call: Call) -> list[tuple[str, str]]:
    return [(one.action_id, one.outcome) for one in await call.news() if isinstance(one, ScreeningOver)]


async def steps(call: Call) -> list[str]:
    entries = [entry for _, entry in await call.store.read_transcript(call.call_id)]
    return [json.loads(one.detail)["step"] for one in entries if isinstance(one, Notice) and one.what == "transfer"]


async def until_step(call: Call, step: str) -> None:
    async def recorded() -> bool:
        return step in await steps(call)

    await eventually(recorded, what=f"step {step} in the transcript")


async def until_equal(read: Callable[[], Awaitable[object]], expected: object) -> None:
    async def equal() -> bool:
        return await read() == expected

    await eventually(equal, what=str(expected))


def latest(call: Call, kind: type[Entry]) -> Entry | None:
    return next((entry for entry in reversed(call.downlink) if isinstance(entry, kind)), None)


async def until_tone(call: Call, *, on: bool) -> None:
    await eventually(lambda: latest(call, Hold) == Hold(on), what=f"hold tone {on}")
