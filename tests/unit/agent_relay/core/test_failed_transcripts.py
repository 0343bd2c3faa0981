"""Speech whose transcription failed may have been words, and is answered."""

from __future__ import annotations

from agent_relay.core.protocol import voice_events as vl
from tests.unit.support.talk import Talk, outcomes, profile_for, sent, types

LIMITS = profile_for().limits


def test_speech_whose_transcription_failed_may_have_been_words() -> None:
    talk = Talk(profile_for())
    talk.open()
    commands = talk.hear(vl.SpeechStarted("u1"), vl.SpeechStopped("u1"), vl.UserTranscriptFailed("u1", "no"))
    assert sent(commands) == []
    asked = talk.core.tick(1.0 + LIMITS.start_s)
    assert outcomes(asked) == [("words", "asked_again")]
    assert types(asked)[-1] == "response.create"
    told = talk.core.tick(1.0 + 2 * LIMITS.start_s)
    assert outcomes(told) == [("words", "fallback")]


def test_a_response_to_speech_whose_transcription_failed_is_waited_for() -> None:
    talk = Talk(profile_for())
    talk.core.caller_audio(0.5)
    talk.open()
    talk.hear(vl.SpeechStarted("u1"), vl.SpeechStopped("u1"), vl.ResponseCreated("r1"))
    talk.hear(vl.UserTranscriptFailed("u1", "no"))
    assert outcomes(talk.core.tick(1.0 + LIMITS.start_s)) == []
    assert outcomes(talk.hear(vl.ResponseDone("r1", "failed", "server_error"))) == [("words", "asked_again")]


def test_a_failed_transcript_of_earlier_speech_leaves_it_to_be_answered() -> None:
    talk = Talk(profile_for())
    talk.open()
    talk.hear(vl.SpeechStarted("u1"), vl.SpeechStopped("u1"), vl.SpeechStarted("u2"))
    talk.hear(vl.UserTranscriptFailed("u1", "no"), vl.SpeechStopped("u2"))
    commands = talk.hear(vl.UserTranscript("u2", ""))
    assert outcomes(commands) == [("words", "resumed")]
    assert types(commands)[-1] == "response.create"
