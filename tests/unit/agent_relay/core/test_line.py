from __future__ import annotations

from agent_relay.core.line import HOLD_AFTER_S, Line


def test_the_first_audio_opens_the_line() -> None:
    line = Line(0.5, media_attached=False, maybe_holding=False)
    assert not line.open(100.0)
    line.attached(100.0)
    assert not line.open(100.4)
    line.audio(100.4)
    assert line.open(100.4)


def test_a_silent_line_opens_after_the_delay() -> None:
    line = Line(0.5, media_attached=False, maybe_holding=False)
    line.attached(100.0)
    line.attached(100.3)
    assert line.opens_at == 100.5
    assert line.open(100.5)


def test_hold_begins_once_after_a_while_and_ends_once() -> None:
    line = Line(0.5, media_attached=True, maybe_holding=False)
    line.session_lost(10.0)
    assert not line.hold_begins(10.0)
    assert line.hold_begins(10.0 + HOLD_AFTER_S)
    assert not line.hold_begins(11.0)
    assert line.session_back()
    assert not line.session_back()


def test_a_short_loss_is_not_heard() -> None:
    line = Line(0.5, media_attached=True, maybe_holding=False)
    line.session_lost(10.0)
    assert not line.session_back()
    assert line.hold_at is None


def test_nobody_listens_yet() -> None:
    line = Line(0.5, media_attached=False, maybe_holding=False)
    line.session_lost(10.0)
    assert not line.hold_begins(11.0)


def test_the_tone_that_another_relay_began_is_ended() -> None:
    assert Line(0.5, media_attached=True, maybe_holding=True).session_back()
