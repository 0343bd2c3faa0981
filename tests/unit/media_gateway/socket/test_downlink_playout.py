"""The downlink with an injected clock."""

from __future__ import annotations

import base64
import json

import pytest

from bridge_common.observability.telemetry import now_us
from bridge_common.wire.entries import Audio, AudioFrame, Clear, Ended, Hold, ItemEnd, Listen, Played, Playing, Stamp
from media_gateway.core.acs_media import STOP_AUDIO
from media_gateway.core.playout import Report
from media_gateway.settings import GatewaySettings
from media_gateway.socket.downlink_playout import DownlinkPlayout, SendBuffer
from media_gateway.ticker import Ticked, Ticker
from tests.support.recorded_spans import Growth

LIMIT = 10
SPEECH = b"\x00\x10" * 480 * 50


class Kept(SendBuffer):
    """A buffer whose peer does not read."""

    def __init__(self) -> None:
        super().__init__(lambda _: None, lambda: None, 500)
        self.paused(True)

    @property
    def messages(self) -> list[bytes]:
        return list(self._waiting)

    def pcm(self) -> bytes:
        bodies = [json.loads(message)["AudioData"] for message in self.messages]
        return b"".join(base64.b64decode(body["Data"]) for body in bodies if body)


class Due(Ticker):
    """A ticker that stores the due time; the test calls `tick`."""

    at: float | None = None

    def wake(self, ticked: Ticked, at: float | None) -> None:
        self.at = at


class Call:
    def __init__(self, rate_hz: int = 24_000, **changes: object) -> None:
        values = {
            "redis_url": "redis://localhost",
            "media_token_keys": ("a-key-only-for-tests",),
            "acs_jwt_mode": "off",
            "allow_insecure": "unchecked-tokens",
            **changes,
        }
        self.began = self.now = 100.0
        self.buffer = Kept()
        self.due = Due()
        self.reports: list[Report] = []
        self.stopped: list[Clear] = []
        self.ended: list[Ended] = []
        self.listened: list[Listen] = []
        self.downlink = DownlinkPlayout(
            rate_hz,
            GatewaySettings.model_validate(values),
            clock=lambda: self.now,
            ticker=self.due,
            buffer=self.buffer,
            report=self.reports.append,
            on_stopped=self.stopped.append,
            on_ended=self.ended.append,
            on_listen=self.listened.append,
        )

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        while self.now < end:
            self.now += 0.02
            if self.due.at is not None and self.due.at <= self.now:
                self.downlink.tick(self.now)


def test_the_lead_is_sent_when_the_audio_comes() -> None:
    call = Call()
    call.downlink.take("1-1", Audio("a", SPEECH))
    assert len(call.buffer.pcm()) == 10 * 960
    assert call.reports == [Playing("a")]
    assert call.downlink.waiting_s == pytest.approx(0.8)
    for _ in range(25):
        call.run(0.02)
        ahead_s = len(call.buffer.pcm()) / 48_000 - (call.now - call.began)
        assert 0.1 < ahead_s <= 0.221


def test_the_lead_and_the_message_are_settings() -> None:
    call = Call(playout_lead_ms=390, playout_message_ms=60)
    call.downlink.take("1-1", Audio("a", SPEECH))
    assert [len(json.loads(message)["AudioData"]["Data"]) for message in call.buffer.messages] == [3840] * 6


def test_audio_in_small_pieces_leaves_as_it_comes() -> None:
    call = Call()
    for number in range(1, 5):
        call.downlink.take(f"1-{number}", Audio("a", SPEECH[:960]))
        assert len(call.buffer.messages) == number
        call.run(0.02)


@pytest.mark.parametrize(("rate_hz", "least"), [(24_000, len(SPEECH)), (16_000, len(SPEECH) * 2 // 3)])
def test_nothing_of_an_item_is_lost(rate_hz: int, least: int) -> None:
    call = Call(rate_hz)
    call.downlink.take("1-1", Audio("a", SPEECH))
    call.downlink.take("1-2", ItemEnd("a"))
    call.run(2)
    assert least <= len(call.buffer.pcm()) <= least + 60
    assert call.reports == [Playing("a"), Played("a", 1000, complete=True)]


def test_clear_throws_away_what_still_waits_for_the_socket() -> None:
    call = Call(16_000)
    call.downlink.take("1-1", Audio("a", SPEECH))
    call.now += 0.1
    call.downlink.take("1-2", Clear("a"))
    assert call.buffer.messages == [STOP_AUDIO]
    assert call.reports[1:] == [Played("a", 98, complete=False)]
    call.downlink.take("1-3", Audio("a", SPEECH))
    call.run(2)
    assert call.buffer.messages == [STOP_AUDIO]
    call.downlink.take("1-4", Audio("b", bytes(960)))
    assert not any(call.buffer.pcm()), "the resampler has no rest of the old audio"


def test_give_up_reports_without_stopping_anything() -> None:
    call = Call()
    call.downlink.take("1-1", Audio("a", SPEECH))
    call.now += 0.0501
    call.downlink.give_up()
    assert call.reports[-1] == Played("a", 50, complete=False)
    assert STOP_AUDIO not in call.buffer.messages


def test_hold_sounds_at_the_next_beats() -> None:
    call = Call()
    call.downlink.take("1-1", Hold(on=True))
    call.run(0.3)
    assert any(call.buffer.pcm())


def test_no_hold_tone_without_a_relay_while_people_talk() -> None:
    call = Call()
    call.downlink.alone(True, bridged=True)
    call.run(1.0)
    assert not any(call.buffer.pcm())
    call.downlink.alone(True, bridged=False)
    call.run(0.5)
    assert any(call.buffer.pcm())
    call.downlink.alone(True, bridged=True)
    call.run(0.1)
    sent = len(call.buffer.pcm())
    call.run(1.0)
    assert len(call.buffer.pcm()) == sent


def test_the_hold_tone_of_the_relay_sounds_also_while_people_talk() -> None:
    call = Call()
    call.downlink.alone(False, bridged=True)
    call.downlink.take("1-1", Hold(on=True))
    call.run(0.5)
    assert any(call.buffer.pcm())


def test_the_selection_of_participants_is_reported() -> None:
    call = Call()
    call.downlink.take("1-1", Listen("all"))
    call.downlink.take("1-2", Listen("caller", bridged=True))
    assert call.listened == [Listen("all"), Listen("caller", bridged=True)]


def test_the_end_is_passed_on() -> None:
    call = Call()
    call.downlink.take("1-1", Ended("hung up"))
    assert call.ended == [Ended("hung up")]


def test_other_entries_are_ignored() -> None:
    call = Call()
    call.downlink.take("1-1", AudioFrame(bytes(960)))
    assert call.buffer.messages == []


def test_the_ticker_is_asked_only_while_something_is_due() -> None:
    call = Call()
    assert call.due.at is None
    call.downlink.take("1-1", Audio("a", SPEECH))
    call.downlink.take("1-2", ItemEnd("a"))
    assert call.due.at == pytest.approx(call.now + 0.08)
    call.run(2)
    assert call.reports[-1] == Played("a", 1000, complete=True)
    assert call.due.at is None
    call.downlink.take("1-3", Audio("b", SPEECH))
    call.downlink.give_up()
    assert call.due.at is None


def test_a_clear_is_told_once_stop_audio_has_left() -> None:
    call = Call()
    call.downlink.take("1-1", Clear("a", at_us=17))
    assert call.buffer.messages == [STOP_AUDIO]
    assert call.stopped == [Clear("a", at_us=17)]


def test_a_stamp_is_measured_and_changes_nothing() -> None:
    call, grown = Call(), Growth()
    call.downlink.take("1-1", Stamp(now_us() - 50_000))
    call.downlink.take("1-2", Stamp(now_us() + 60_000_000))
    assert call.buffer.messages == []
    assert grown('bridge_frame_delay_seconds_count{direction="downlink"}') == 2
    assert 0.05 <= grown('bridge_frame_delay_seconds_sum{direction="downlink"}') < 10, "clocks differ; no negative time"


def test_silence_within_an_item_is_measured() -> None:
    call, grown = Call(), Growth()
    call.downlink.take("1-1", Audio("a", SPEECH))
    call.run(len(SPEECH) / 48_000 + 0.5)
    call.downlink.take("1-2", Audio("a", SPEECH))
    assert grown('bridge_gap_seconds_count{direction="out"}') == 1
    assert grown('bridge_gap_seconds_sum{direction="out"}') == pytest.approx(0.5, abs=0.05)
    call.downlink.take("1-3", ItemEnd("a"))
    call.run(len(SPEECH) / 48_000 + 0.5)
    call.downlink.take("1-4", Audio("b", SPEECH))
    assert grown('bridge_gap_seconds_count{direction="out"}') == 1, "a pause between items is not a gap"


class SlowPeer:
    """A peer that stops reading after this many messages."""

    def __init__(self, takes: int = 1_000_000) -> None:
        self.sent: list[bytes] = []
        self.takes = takes
        self.overfull = 0
        self.buffer = SendBuffer(self.write, self.on_overfull, LIMIT)

    def write(self, message: bytes) -> None:
        self.sent.append(message)
        self.takes -= 1
        if self.takes == 0:
            self.buffer.paused(True)

    def on_overfull(self) -> None:
        self.overfull += 1


def test_messages_go_out_as_they_come() -> None:
    peer = SlowPeer()
    peer.buffer.put(b"a")
    assert peer.sent == [b"a"]
    peer.buffer.put(b"b")
    assert peer.sent == [b"a", b"b"]


def test_while_paused_they_wait_in_order() -> None:
    peer = SlowPeer(takes=1)
    for message in (b"a", b"b", b"c", b"d"):
        peer.buffer.put(message)
    assert peer.sent == [b"a"]
    peer.takes = 2
    peer.buffer.paused(False)
    assert peer.sent == [b"a", b"b", b"c"], "paused again in the middle"
    peer.buffer.paused(False)
    assert peer.sent == [b"a", b"b", b"c", b"d"]


def test_put_instead_overtakes_what_waits() -> None:
    peer = SlowPeer()
    peer.buffer.paused(True)
    for message in (b"a", b"b", b"c"):
        peer.buffer.put(message)
    peer.buffer.put_instead(b"stop")
    peer.buffer.put(b"d")
    peer.buffer.paused(False)
    assert peer.sent == [b"stop", b"d"]


def test_a_peer_that_does_not_read_is_noticed() -> None:
    peer = SlowPeer()
    peer.buffer.paused(True)
    for _ in range(LIMIT):
        peer.buffer.put(b"frame")
    assert not peer.overfull
    peer.buffer.put(b"frame")
    assert peer.overfull
