from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from bench.alone import AloneRun, handled_share, media_audio_ms, one_line, table
from bench.bridges import Shape
from bench.service_traffic import GATEWAY, RELAY
from media_gateway.core.acs_media import encode_audio

MakeRun = Callable[..., AloneRun]
MESSAGE_BYTES = len(encode_audio(bytes(640)))


def grown(**counters: float) -> Mapping[str, float]:
    """In one second."""
    return {"s": 1.0, "appends": 0, "to_streams": 0, "messages": 0, "bytes": 0, **counters}


def test_the_gateway_handled_what_came_out_at_both_ends() -> None:
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


def test_what_is_sent_late_or_not_at_all_is_not_handled() -> None:
    assert handled_share(RELAY, Shape.ECHO, 10, grown(appends=900, to_streams=450, messages=450)) == 0.9


@pytest.mark.parametrize("message_ms", [20, 60, 100])
def test_audio_on_a_media_socket_is_the_same_in_messages_of_any_length(message_ms: int) -> None:
    message = encode_audio(bytes(32 * message_ms))
    count = 60_000 // message_ms
    assert media_audio_ms(count * len(message), count) == pytest.approx(60_000, rel=0.01)


def test_a_run_that_did_not_keep_up_is_shown_everywhere(alone_run: MakeRun) -> None:
    slow = alone_run(GATEWAY, 200, 1.0, handled=0.5)
    assert "DID NOT KEEP UP" in one_line(slow)
    assert "DID NOT" not in one_line(alone_run(GATEWAY, 200, 1.0))
    assert "DID NOT KEEP UP" in table([slow], 3.12).notes[-1]


def test_the_table_has_a_row_for_each_service_and_size(alone_run: MakeRun) -> None:
    runs = [
        alone_run(service, calls, ms)
        for service in (RELAY, GATEWAY)
        for calls, ms in ((20, 4.0), (200, 3.0), (20, 5.0), (200, 2.5))
    ]
    found = table(runs, 3.12, ["200 calls: it died"])
    assert [row[0] for row in found.rows] == [
        f"{service}, deltas, {calls} calls" for service in (GATEWAY, RELAY) for calls in (20, 200)
    ]
    assert found.rows[1][1:4] == ["2.75 (2.50–3.00)", "0.80", "1.00"]
    assert found.rows[0][found.columns.index("calls per core")] == "225 (200–250)"
    assert found.rows[1][found.columns.index("MB with calls")] == "100"
    assert "3.12 MB" in found.notes[1]
    assert found.notes[-1].endswith("it died")
    assert all(len(row) == len(found.columns) for row in found.rows)
