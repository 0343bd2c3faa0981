from __future__ import annotations

from collections.abc import Mapping

import pytest

from bench.alone_driver import GATEWAY, RELAY
from bench.alone_snapshot import Snapshot, media_audio_ms, parse_frames, shares
from bench.bridges import Shape
from media_gateway.core.acs_media import encode_audio

NOTHING = {"uplink": 0, "downlink": 0, "appended": 0, "arrived": 0, "steps": 0, "late": 0, "lost": 0, "refusal": ""}


def seen(
    at: float, driver: Mapping[str, object], redis: dict[str, int] | None = None, frames: dict[str, int] | None = None
) -> Snapshot:
    counted = redis or {"in": 0, "out": 0, "appends": 0}
    return Snapshot(at, {}, 0.0, {**NOTHING, **driver}, counted, frames or {"in": 0, "out": 0})


def test_the_gateways_frames_are_read_from_its_page() -> None:
    page = (
        "# HELP bridge_gateway_frames_total Audio messages, in from ACS and out to it\n"
        "# TYPE bridge_gateway_frames_total counter\n"
        'bridge_gateway_frames_total{direction="in"} 1000.0\n'
        'bridge_gateway_frames_total{direction="out"} 240.0\n'
        "bridge_gateway_bad_frames_total 3.0\n"
    )
    assert parse_frames(page) == {"in": 1000, "out": 240}


@pytest.mark.parametrize("message_ms", [20, 60, 100])
def test_sound_on_a_media_socket_is_the_same_in_messages_of_any_length(message_ms: int) -> None:
    message = encode_audio(bytes(32 * message_ms))
    count = 60_000 // message_ms
    assert media_audio_ms(count * (4 + len(message)), count) == pytest.approx(60_000, rel=0.01)


def test_what_is_sent_late_or_not_at_all_is_not_sent() -> None:
    began = seen(0.0, {})
    driver = {"uplink": 540, "downlink": 540, "steps": 540, "late": 54}
    ended = seen(1.0, driver, frames={"in": 540, "out": 0})
    sent, handled = shares(GATEWAY, Shape.DELTAS, 10, began, ended)
    assert sent == pytest.approx(0.9)
    assert handled == 0.0


def test_at_the_relay_appends_of_the_driver_are_not_the_relays() -> None:
    began = seen(0.0, {})
    driver = {"uplink": 500, "downlink": 40, "appended": 500, "arrived": 500, "steps": 540}
    ended = seen(1.0, driver, {"in": 0, "out": 0, "appends": 530})
    assert shares(RELAY, Shape.DELTAS, 10, began, ended) == (1.0, 0.75)
