"""Losses of media sockets, from the timeline of a call."""

from __future__ import annotations

from lab.chaos.call_evidence import SeenMediaSocket
from lab.chaos.crowd import media_breaks


def timeline(*rows: tuple[float, str]) -> list[dict[str, object]]:
    return [{"t": t, "event": event} for t, event in rows]


def test_a_call_with_one_socket_has_no_break() -> None:
    assert media_breaks(timeline((1.0, "media_open"), (2.0, "call_connected"))) == []


def test_a_break_ends_with_the_next_open_socket() -> None:
    found = media_breaks(
        timeline(
            *((1.0, "media_open"), (5.0, "media_closed")),
            *((5.5, "media_dialling"), (5.6, "media_refused"), (6.1, "media_dialling"), (6.2, "media_open")),
            *((8.0, "media_closed"), (8.5, "media_dialling"), (8.5, "media_open")),
        )
    )
    assert found == [SeenMediaSocket(5.0, 6.1, 6.2, refused=1), SeenMediaSocket(8.0, 8.5, 8.5)]


def test_a_break_has_the_time_of_acss_first_callback() -> None:
    found = media_breaks(
        timeline(
            *(
                (0.5, "media_streaming_stopped"),
                (1.0, "media_open"),
                (5.0, "media_closed"),
                (5.2, "media_streaming_failed"),
            ),
            *((5.4, "media_streaming_failed"), (6.0, "media_open"), (8.0, "media_closed"), (8.5, "media_open")),
        )
    )
    assert [one.reported_at for one in found] == [5.2, float("inf")]


def test_a_socket_that_never_comes_back_is_a_break_without_end() -> None:
    (found,) = media_breaks(timeline((5.0, "media_closed"), (5.5, "media_dialling"), (5.6, "media_refused")))
    assert found == SeenMediaSocket(5.0, 5.5, float("inf"), refused=1)
