from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from bench.alone import handled_share, measure, media_audio_ms
from bench.bridges import Shape
from bench.runs import Figures, Options
from bench.service_traffic import GATEWAY, RELAY
from lab.stack import StackError
from media_gateway.core.acs_media import encode_audio

MESSAGE_BYTES = len(encode_audio(bytes(640)))


def grown(**counters: float) -> Mapping[str, float]:
    """Return the values of one second."""
    return {"s": 1.0, "appends": 0, "to_streams": 0, "messages": 0, "bytes": 0, **counters}


def test_the_gateway_handled_the_traffic_of_its_slower_direction() -> None:
    whole = grown(appends=540, to_streams=40, messages=500, bytes=500 * MESSAGE_BYTES)
    assert handled_share(GATEWAY, Shape.DELTAS, 10, whole) == pytest.approx(1.0, abs=0.01)
    assert handled_share(GATEWAY, Shape.DELTAS, 10, {**whole, "appends": 490}) == 0.9
    half = {**whole, "messages": 250, "bytes": 250 * MESSAGE_BYTES}
    assert handled_share(GATEWAY, Shape.DELTAS, 10, half) == pytest.approx(0.5, abs=0.01)


def test_at_the_relay_appends_of_the_traffic_are_not_the_relays() -> None:
    whole = grown(appends=540, to_streams=500, messages=500)
    assert handled_share(RELAY, Shape.DELTAS, 10, whole) == 1.0
    assert handled_share(RELAY, Shape.DELTAS, 10, {**whole, "appends": 530}) == 0.75
    assert handled_share(RELAY, Shape.DELTAS, 10, {**whole, "messages": 450}) == 0.9


def test_late_or_missing_messages_are_not_handled() -> None:
    assert handled_share(RELAY, Shape.ECHO, 10, grown(appends=900, to_streams=450, messages=450)) == 0.9


@pytest.mark.parametrize("message_ms", [20, 60, 100])
def test_audio_on_a_media_socket_is_the_same_in_messages_of_any_length(message_ms: int) -> None:
    message = encode_audio(bytes(32 * message_ms))
    count = 60_000 // message_ms
    assert media_audio_ms(count * len(message), count) == pytest.approx(60_000, rel=0.01)


def test_each_service_size_and_shape_is_measured() -> None:
    def run(service: str, shape: Shape, calls: int, seconds: float, _folder: Path) -> Figures:
        if service == RELAY and calls == 200:
            raise StackError("it died")
        return {"CPU, ms/s/call": calls, "delta, ms": shape.delta_ms, "s": seconds}

    outcome = measure(Options(alone_calls=(20, 200), seconds=3.0, runs=2), run)
    assert len(outcome.runs) == 2 * (4 + 2)
    assert outcome.runs[1].labels == {"service": GATEWAY, "shape": "echo", "calls": 200}
    assert outcome.runs[1].figures == {"CPU, ms/s/call": 200, "delta, ms": 20, "s": 3.0}
    assert len(outcome.failures) == 2 * 2
    assert 0.5 < outcome.extra["stream_mb"] < 5
