from __future__ import annotations

from dataclasses import replace

from agent_relay.core.dialog.interim import InterimProfile
from agent_relay.core.dialog.session_profile import session_profile_of
from agent_relay.core.protocol.agent_profile import AgentProfile, InterimPhrases
from agent_relay.core.protocol.voice_target import Mode, VoiceTarget


def _target(mode: Mode) -> VoiceTarget:
    return VoiceTarget(mode=mode, endpoint="https://res", api_version="2026-07-15", model="m")


def test_only_agents_by_name_resume_by_themselves() -> None:
    assert {mode: session_profile_of(AgentProfile(), _target(mode)).replays for mode in Mode} == {
        Mode.AGENT: False,
        Mode.CLASSIC_AGENT: True,
        Mode.VOICE_AGENT: True,
        Mode.MODEL: True,
        Mode.AZURE_OPENAI: True,
        Mode.AZURE_OPENAI_GA: True,
    }


def test_a_transcript_is_kept_if_both_the_settings_and_the_profile_want_it() -> None:
    for profile, settings in ((True, True), (True, False), (False, True), (False, False)):
        session_profile = session_profile_of(
            AgentProfile(transcript=profile), _target(Mode.MODEL), keep_transcripts=settings
        )
        assert session_profile.keeps_transcript is (profile and settings)


def test_turn_detection_says_who_truncates_and_whether_one_may_interrupt() -> None:
    assert session_profile_of(AgentProfile(), _target(Mode.MODEL)).truncates
    assert session_profile_of(AgentProfile(), _target(Mode.MODEL)).interrupts
    own = session_profile_of(
        AgentProfile(turn_detection={"auto_truncate": True, "interrupt_response": False}), _target(Mode.MODEL)
    )
    assert not own.truncates
    assert not own.interrupts
    ga = session_profile_of(AgentProfile(turn_detection={"interrupt_response": False}), _target(Mode.AZURE_OPENAI_GA))
    assert (ga.truncates, ga.interrupts, ga.assistant_part) == (True, False, "output_text")


def test_the_relay_speaks_while_a_tool_runs_unless_the_service_does() -> None:
    cascaded = _target(Mode.MODEL)
    own = {"type": "static_interim_response", "texts": ["Wait."]}
    assert session_profile_of(AgentProfile(), cascaded).interim.texts
    assert not session_profile_of(AgentProfile(interim=None), cascaded).interim.texts
    for triggers, speaks in ((["latency"], True), (["tool"], False), (["latency", "tool"], False)):
        profile = AgentProfile(interim_response=own | {"triggers": triggers})
        assert bool(session_profile_of(profile, cascaded).interim.texts) is speaks
        assert session_profile_of(profile, replace(cascaded, model="gpt-realtime-mini")).interim.texts
        assert session_profile_of(profile, _target(Mode.AZURE_OPENAI)).interim.texts


def test_the_phrases_of_the_profile_have_their_times_in_seconds() -> None:
    phrases = InterimPhrases(texts=("Moment.",), after_ms=500, again_after_ms=4000)
    found = session_profile_of(AgentProfile(interim=phrases), _target(Mode.MODEL)).interim
    assert found == InterimProfile(("Moment.",), 0.5, 4.0)
