"""Announcements of operators, from HTTP to the announcement stream of the call."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from bridge_common.redis.clients import RedisClients, command
from bridge_common.store.announcement_store import AnnouncementStore
from bridge_common.wire.call_record import Status
from bridge_common.wire.entries import HangUp, Say
from bridge_common.wire.entry_codec import decode
from call_control.app import ApiTiming
from tests.support.eventually import eventually
from tests.support.scripted_acs import ScriptedAcs
from tests.support.switchboard import OPERATOR, PhoneCall, Switchboard, switchboard

PLAIN = {**OPERATOR, "Content-Type": "text/plain; charset=utf-8"}


async def ringing(board: Switchboard) -> PhoneCall:
    call = PhoneCall()
    await board.ring(call)
    await board.reaches(call, Status.RINGING)
    return call


async def pieces(board: Switchboard, call: PhoneCall) -> list[Say]:
    stored = await command(board.redis, "XRANGE", board.keys.say(call.call_id), "-", "+")
    found = [decode(content[b"e"]) for _, content in stored]
    return [entry for entry in found if isinstance(entry, Say)]


def path(call: PhoneCall) -> str:
    return f"/api/calls/{call.call_id}/say"


async def test_a_complete_text(board: Switchboard) -> None:
    call = await ringing(board)
    text = " " + "Good morning. " * 100
    reply = await board.http.post(path(call), json={"text": text, "interrupt": True}, headers=OPERATOR)
    said = reply.json()
    assert (reply.status_code, said["call_id"], said["characters"]) == (202, call.call_id, len(text) - 1)
    first, second = await pieces(board, call)
    assert first.text + second.text == text[1:]
    assert (first.say_id, first.at, first.interrupt, first.last) == (said["say_id"], 0, True, False)
    assert (second.say_id, second.at, second.interrupt, second.last) == (said["say_id"], len(first.text), False, True)


@pytest.mark.parametrize("form", ["text/plain", "application/x-ndjson"])
async def test_a_text_that_is_still_being_written(board: Switchboard, form: str) -> None:
    call = await ringing(board)
    go_on = asyncio.Event()

    async def written() -> AsyncIterator[bytes]:
        plain = form == "text/plain"
        yield b"Good mor" if plain else b'{"text": "Good mor"}\n{"te'
        await go_on.wait()
        yield b"ning.\xc3" if plain else b'xt": "ning.'
        yield b"\xa9" if plain else b'\xc3\xa9"}'

    asking = asyncio.create_task(
        board.http.post(path(call), content=written(), headers={**OPERATOR, "Content-Type": form})
    )
    await eventually(lambda: pieces(board, call), what="the first piece, while the rest is not written")
    assert [piece.text for piece in await pieces(board, call)] == ["Good mor"]
    go_on.set()
    reply = await asking
    assert (reply.status_code, reply.json()["characters"]) == (202, 14)
    found = await pieces(board, call)
    assert "".join(piece.text for piece in found) == "Good morning.é"
    assert [piece.last for piece in found] == [False] * (len(found) - 1) + [True]
    assert {piece.say_id for piece in found} == {reply.json()["say_id"]}


async def test_small_pieces_are_gathered(board: Switchboard) -> None:
    call = await ringing(board)

    async def small_pieces() -> AsyncIterator[bytes]:
        for _ in range(500):
            yield b"a "

    await board.http.post(path(call), content=small_pieces(), headers=PLAIN)
    found = await pieces(board, call)
    assert "".join(piece.text for piece in found) == "a " * 500
    assert len(found) < 100


async def never_ending(go_on: asyncio.Event) -> AsyncIterator[bytes]:
    yield b"Good morning."
    await go_on.wait()
    yield b" Too late."


async def test_a_client_that_disconnects_ends_its_text(board: Switchboard) -> None:
    call = await ringing(board)
    request = asyncio.create_task(board.http.post(path(call), content=never_ending(asyncio.Event()), headers=PLAIN))
    await eventually(lambda: pieces(board, call))
    request.cancel()
    await asyncio.gather(request, return_exceptions=True)
    await eventually(lambda: _ended(board, call, 1), what="the text of the client ends")


async def test_a_client_that_pauses_too_long_ends_its_text(
    redis_url: str, clients: RedisClients, acs: ScriptedAcs
) -> None:
    async with switchboard(redis_url, clients, acs, ApiTiming(silence_s=0.1)) as board:
        call, go_on = await ringing(board), asyncio.Event()
        request = asyncio.create_task(board.http.post(path(call), content=never_ending(go_on), headers=PLAIN))
        await eventually(lambda: _ended(board, call, 1), what="the text of the client ends")
        go_on.set()
        reply = await request
        assert (reply.status_code, reply.json()["error"]["code"]) == (408, "request_timeout")


async def _ended(board: Switchboard, call: PhoneCall, number: int) -> bool:
    return sum(piece.last for piece in await pieces(board, call)) == number


@pytest.mark.parametrize(
    ("form", "body", "status", "fault"),
    [
        ("application/json", b'{"txt": "a"}', 400, "unknown field `txt`"),
        ("application/json", b'{"text": ""}', 400, "`text` is empty"),
        ("application/json", b'{"text": " \\n "}', 400, "the text is empty"),
        ("application/json", b'{"text": "a", "interrupt": "no"}', 400, "interrupt"),
        ("application/json", b"", 400, "not valid JSON"),
        ("text/plain", b"", 400, "the text is empty"),
        ("text/plain", b"\xff", 400, "UTF-8"),
        ("text/plain; charset=latin-1", b"a", 415, "UTF-8"),
        ("application/x-ndjson", b'{"text": "a"}\n{}', 400, "line 2 is not valid: Object missing"),
        ("application/xml", b"a", 415, "text/plain"),
        ("", b"a", 415, "text/plain"),
        ("application/json", b'{"text": "' + b"a" * 501 + b'"}', 413, "500 characters"),
        ("text/plain", b"a" * 501, 413, "500 characters"),
    ],
)
async def test_invalid_texts(
    redis_url: str, clients: RedisClients, acs: ScriptedAcs, form: str, body: bytes, status: int, fault: str
) -> None:
    async with switchboard(redis_url, clients, acs, SAY_MAX_CHARACTERS="500") as board:
        call = await ringing(board)
        reply = await board.http.post(path(call), content=body, headers={**OPERATOR, "Content-Type": form})
        assert reply.status_code == status
        assert fault in reply.json()["error"]["message"]
        assert all(piece.text in ("a", "") for piece in await pieces(board, call)), "only the text before the fault"


async def test_a_text_that_becomes_too_long_ends_at_the_limit(
    redis_url: str, clients: RedisClients, acs: ScriptedAcs
) -> None:
    async with switchboard(redis_url, clients, acs, SAY_MAX_CHARACTERS="20") as board:
        call = await ringing(board)
        go_on = asyncio.Event()

        async def long_text() -> AsyncIterator[bytes]:
            yield b"Fifteen letters"
            await go_on.wait()
            yield b" and more."

        asking = asyncio.create_task(board.http.post(path(call), content=long_text(), headers=PLAIN))
        await eventually(lambda: pieces(board, call))
        go_on.set()
        assert (await asking).status_code == 413
        assert [(piece.text, piece.last) for piece in await pieces(board, call)] == [
            *[("Fifteen letters", False), ("", True)]
        ]


async def test_calls_that_accept_no_announcement(board: Switchboard) -> None:
    for call_id in ("call_0123456789abcdef01234567", "x"):
        reply = await board.http.post(f"/api/calls/{call_id}/say", json={"text": "Hello."}, headers=OPERATOR)
        assert (reply.status_code, reply.json()["error"]["code"]) == (404, "not_found")
    call = await ringing(board)
    assert (await board.http.post(path(call), json={"text": "Hello."})).status_code == 401
    reply = await board.http.post(path(call) + "?interrupt=perhaps", json={"text": "Hello."}, headers=OPERATOR)
    assert reply.status_code == 400
    await board.inbox.put(HangUp(call.call_id, by="operator", reason=""))
    await board.reaches(call, Status.ENDED)
    reply = await board.http.post(path(call), json={"text": "Hello."}, headers=OPERATOR)
    assert (reply.status_code, reply.json()["error"]["code"]) == (409, "conflict")
    assert await pieces(board, call) == []


async def test_too_many(redis_url: str, clients: RedisClients, acs: ScriptedAcs) -> None:
    async with switchboard(redis_url, clients, acs, SAY_PER_MINUTE="1") as board:
        call = await ringing(board)
        replies = [await board.http.post(path(call), json={"text": "Hello."}, headers=OPERATOR) for _ in range(3)]
        assert replies[0].status_code == 202
        # A minute may have turned between two of them.
        refused = next(reply for reply in replies if reply.status_code == 429)
        assert refused.json()["error"]["code"] == "too_many_requests"
        assert 1 <= int(refused.headers["Retry-After"]) <= 60


async def test_an_interrupted_announcement_is_a_409(board: Switchboard) -> None:
    call = await ringing(board)
    go_on = asyncio.Event()

    async def written() -> AsyncIterator[bytes]:
        yield b"Good morning. "
        await go_on.wait()
        yield b"Never heard."

    asking = asyncio.create_task(board.http.post(path(call), content=written(), headers=PLAIN))
    [piece] = await eventually(lambda: pieces(board, call))
    claim = await board.claim(call)
    says = AnnouncementStore(board.redis, board.keys)
    await says.note_said(
        claim, board.relay.owner_text(claim), said=f"{piece.say_id}:14", dropped=piece.say_id, keep_from=""
    )
    go_on.set()
    reply = await asking
    assert (reply.status_code, reply.json()["error"]["code"]) == (409, "interrupted")
    assert len(await pieces(board, call)) == 1
