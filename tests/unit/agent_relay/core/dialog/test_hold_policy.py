from __future__ import annotations

from agent_relay.core.dialog.hold_policy import AUDIO_WAIT_S, HoldPolicy

HOLD_AFTER_S = 0.5


def test_the_first_audio_opens_the_line() -> None:
    line = HoldPolicy(None, HOLD_AFTER_S, media_attached=False, maybe_holding=False)
    opens_at = [line.opens_at]
    line.attached(100.0)
    opens_at.append(line.opens_at)
    line.audio(100.4)
    assert [*opens_at, line.opens_at] == [None, 100.0 + AUDIO_WAIT_S, 100.0]


def test_a_line_without_audio_opens_after_a_while() -> None:
    line = HoldPolicy(None, HOLD_AFTER_S, media_attached=False, maybe_holding=False)
    line.attached(100.0)
    line.attached(100.3)
    assert line.opens_at == 100.0 + AUDIO_WAIT_S


def test_a_delay_counts_from_the_media_socket_whether_there_is_audio_or_not() -> None:
    for audio in (True, False):
        line = HoldPolicy(3.0, HOLD_AFTER_S, media_attached=False, maybe_holding=False)
        line.attached(100.0)
        if audio:
            line.audio(100.1)
        assert line.opens_at == 103.0
    line = HoldPolicy(0.0, HOLD_AFTER_S, media_attached=False, maybe_holding=False)
    line.attached(100.0)
    assert line.opens_at == 100.0, "at once"


def test_hold_begins_once_after_a_while_and_ends_once() -> None:
    line = HoldPolicy(0.5, HOLD_AFTER_S, media_attached=True, maybe_holding=False)
    line.session_lost(10.0)
    line.session_lost(10.3)
    assert line.hold(None, 10.0) is None
    assert line.hold_at(None) == 10.0 + HOLD_AFTER_S
    assert line.hold(None, 10.0 + HOLD_AFTER_S) is True
    assert line.hold_at(None) is None
    assert line.hold(None, 11.0) is None
    assert line.session_back()
    assert not line.session_back()


def test_a_short_loss_is_not_heard() -> None:
    line = HoldPolicy(0.5, HOLD_AFTER_S, media_attached=True, maybe_holding=False)
    line.session_lost(10.0)
    assert not line.session_back()
    assert line.hold_at(None) is None


def test_the_tone_waits_for_the_media_socket() -> None:
    line = HoldPolicy(0.5, HOLD_AFTER_S, media_attached=False, maybe_holding=False)
    line.session_lost(10.0)
    assert line.hold_at(None) is None
    assert line.hold(None, 11.0) is None
    line.attached(11.0)
    assert line.hold(None, 11.0) is True, "a caller who is attached later hears it as well"


def test_the_tone_that_another_relay_began_is_ended() -> None:
    line = HoldPolicy(0.5, HOLD_AFTER_S, media_attached=True, maybe_holding=True)
    line.session_lost(10.0)
    assert line.hold_at(None) == 10.0 + HOLD_AFTER_S
    assert line.hold(None, 10.1) is None, "unknown until the voice session is back"
    assert line.session_back()


def test_a_long_silence_of_the_agent_is_filled_with_the_tone() -> None:
    line = HoldPolicy(0.5, HOLD_AFTER_S, media_attached=True, maybe_holding=False)
    assert line.hold_at(13.0) == 13.0
    assert line.hold(13.0, 12.9) is None
    assert line.hold(13.0, 13.0) is True
    assert line.hold_at(13.0) is None
    assert line.hold(16.5, 13.5) is False, "it is heard again, and may stop again"
    assert line.hold_at(16.5) == 16.5
    assert line.hold(16.5, 16.5) is True
    assert (line.hold_at(None) or 0) < 0, "at once"
    assert line.hold(None, 17.0) is False


def test_another_gateway_is_told_again() -> None:
    line = HoldPolicy(0.5, HOLD_AFTER_S, media_attached=True, maybe_holding=False)
    line.session_lost(10.0)
    assert line.hold(None, 11.0) is True
    line.attached(12.0)
    assert line.hold(None, 12.0) is True


def test_the_tone_follows_a_transfer_whatever_the_voice_session_does() -> None:
    line = HoldPolicy(0.5, HOLD_AFTER_S, media_attached=True, maybe_holding=False)
    line.transfers(True, 10.0)
    assert line.hold_at(None) == 10.0
    assert line.hold(None, 10.0) is True
    line.session_lost(11.0)
    assert line.hold(11.0, 20.0) is None
    assert not line.session_back()
    assert line.hold(None, 21.0) is None
    line.transfers(False, 22.0)
    assert line.hold(None, 22.0) is False
    line.session_lost(23.0)
    assert line.hold_at(24.0) is None
    assert line.hold(24.0, 30.0) is None, "people talk"
    line.transfers(None, 31.0)
    assert line.hold(None, 31.0) is True, "there is no voice session"


def test_a_tone_that_the_previous_relay_may_have_left_on_ends_for_people_who_talk() -> None:
    line = HoldPolicy(0.5, HOLD_AFTER_S, media_attached=True, maybe_holding=True)
    assert line.hold(None, 9.0) is None
    line.transfers(False, 10.0)
    at = line.hold_at(None)
    assert at is not None
    assert at < 10.0
    assert line.hold(None, 10.0) is False
    assert line.hold_at(None) is None
    assert line.hold(None, 11.0) is None
