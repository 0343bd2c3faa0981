"""Echo and marks: prebuilt text equals encoded JSON; marks are sent in real time when the call is known."""

from __future__ import annotations

import asyncio
import base64
import json
import time

import pytest

from lab.marks import encode_mark
from lab.voice_live.measuring import MAX_FRAMES_AT_ONCE, DeltaText, EchoLine, MarksLine, MarksTicker
from lab.voice_live.server_events import RefusedError
from lab.voice_live.simulated_response import Response, ResponseForm
from tests.support.eventually import eventually
from tests.support.mark_reader import MarkReader
from tests.support.voice_live_stage import b64, staged

FORM = ResponseForm("conv_1", ("audio", "text"), None, "pcm16")


def opened() -> Response:
    response = Response(FORM)
    list(response.open_message(None))
    return response


class Wire:
    """A connection that stores sent messages. `blocked` simulates a full send buffer."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.blocked = False

    def send(self, text: bytes) -> bool:
        if not self.blocked:
            self.sent.append(text)
        return not self.blocked

    def marks(self) -> list[tuple[int, int]]:
        reader = MarkReader(24_000)
        pcm = b"".join(base64.b64decode(json.loads(text)["delta"]) for text in self.sent)
        return [(mark.call, mark.seq) for mark in reader.feed(pcm)]


def line(wire: Wire, chunk_ms: int = 20) -> MarksLine:
    return MarksLine(staged().record, 24_000, chunk_ms, wire.send)


def speaking(wire: Wire, chunk_ms: int = 20) -> MarksLine:
    made = line(wire, chunk_ms)
    assert made.hear(b64(b"".join(encode_mark(7, seq, 24_000) for seq in range(4))), 1.0)
    made.speak(opened(), 100.0)
    return made


def test_prebuilt_text_is_what_the_encoder_would_make() -> None:
    response = opened()
    assert json.loads(DeltaText(response, ga=True).encode(b""))["type"] == "response.output_audio.delta"
    built = json.loads(DeltaText(response).encode(b"AAAA"))
    regular = response.audio_delta("AAAA", 2, 1.0, 0.0)
    assert list(built) == list(regular)
    assert {**built, "event_id": ""} == {**regular, "event_id": ""}


def test_the_first_mark_reveals_the_call_once() -> None:
    made = line(Wire())
    assert not made.hear(b64(bytes(960)), 1.0)
    assert made.hear(b64(b"".join(encode_mark(9, seq, 24_000) for seq in range(4))), 2.0)
    assert made.call == 9
    assert not made.hear(b64(encode_mark(9, 4, 24_000)), 3.0)
    assert [mark[:2] for mark in made.record.marks_heard][:2] == [(9, 0), (9, 1)]
    assert made.record.marks_heard[0][2] == 2.0
    with pytest.raises(RefusedError):
        made.hear("?", 3.0)


def test_plain_appends_of_a_known_call_need_no_json() -> None:
    made = line(Wire())
    frames = [b64(encode_mark(9, seq, 24_000)).encode() for seq in range(6)]
    assert not made.hear_at_once(frames[0], 1.0)
    assert made.hear(b64(b"".join(encode_mark(9, seq, 24_000) for seq in range(4))), 1.0)
    assert made.hear_at_once(frames[4], 2.0)
    assert made.record.marks_heard[-1] == (9, 4, 2.0)
    assert made.record.marks_shift_ms == 0.0
    for bad in (b"?", b"AAA=AAAA", b"AAAA"):
        assert not made.hear_at_once(bad, 3.0)


@pytest.mark.parametrize(("chunk_ms", "sizes"), [(20, [1, 1, 1, 1]), (250, [12, 13, 12, 13])])
def test_chunks_have_their_pace_and_lose_no_frame(chunk_ms: int, sizes: list[int]) -> None:
    wire = Wire()
    made = speaking(wire, chunk_ms)
    dues = []
    for _ in sizes:
        dues.append(made.due_at)
        made.tick()
    assert dues == pytest.approx([100.0 + index * chunk_ms / 1000 for index in range(len(sizes))])
    assert [len(base64.b64decode(json.loads(text)["delta"])) // 960 for text in wire.sent] == sizes
    assert wire.marks() == [(7, seq) for seq in range(sum(sizes))]
    assert [mark[:2] for mark in made.record.marks_sent] == [(7, seq) for seq in range(sum(sizes))]


def test_a_slow_connection_gets_later_what_it_could_not_take() -> None:
    wire = Wire()
    made = speaking(wire)
    wire.blocked = True
    for _ in range(MAX_FRAMES_AT_ONCE + 5):
        made.tick()
    assert made.record.marks_sent == []
    wire.blocked = False
    for _ in range(7):
        made.tick()
    assert wire.marks() == [(7, seq) for seq in range(MAX_FRAMES_AT_ONCE + 12)]


def test_the_numbers_continue_in_a_new_response_after_a_pause() -> None:
    wire = Wire()
    made = speaking(wire)
    for _ in range(3):
        made.tick()
    assert made.spoken_ms == 60
    made.pause()
    assert made.due_at == float("inf")
    made.tick()
    made.speak(opened(), 200.0)
    assert (made.due_at, made.spoken_ms) == (200.0, 0)
    for _ in range(2):
        made.tick()
    assert wire.marks() == [(7, seq) for seq in range(5)]
    items = [json.loads(text)["item_id"] for text in wire.sent]
    assert [len(set(items[:3])), len(set(items))] == [1, 2]


async def test_one_ticker_serves_many_lines_and_removes_them() -> None:
    ticker, wires = MarksTicker(), [Wire() for _ in range(5)]
    lines = [speaking(wire) for wire in wires]
    running = asyncio.create_task(ticker.run())
    for made in lines:
        made.started_at = time.monotonic()
        ticker.add(made)
    await eventually(lambda: all(len(wire.sent) >= 10 for wire in wires))
    ticker.remove(lines[0])
    stopped_at = len(wires[0].sent)
    await eventually(lambda: len(wires[1].sent) >= 20)
    assert len(wires[0].sent) == stopped_at
    for made in lines:
        sent = made.record.marks_sent
        pace_s = (sent[-1][2] - sent[0][2]) / (len(sent) - 1)
        assert pace_s == pytest.approx(0.02, abs=0.01)
    running.cancel()
    await asyncio.wait([running])


async def test_a_new_line_does_not_wait_for_the_next_delta_of_another() -> None:
    ticker, first, second = MarksTicker(), Wire(), Wire()
    running = asyncio.create_task(ticker.run())
    for wire in (first, second):
        made = speaking(wire, chunk_ms=10_000)
        made.started_at = time.monotonic()
        ticker.add(made)
        await eventually(lambda: len(first.sent) == 1, within_s=8)
    await eventually(lambda: len(second.sent) == 1, within_s=8)
    running.cancel()
    await asyncio.wait([running])


def test_echo_returns_the_appended_audio() -> None:
    echo = EchoLine()
    assert echo.hear("AAAA") is None
    echo.text = DeltaText(opened())
    text = echo.hear(b64(b"\1\2"))
    assert text is not None
    assert json.loads(text)["delta"] == b64(b"\1\2")
    with pytest.raises(RefusedError):
        echo.hear(None)
