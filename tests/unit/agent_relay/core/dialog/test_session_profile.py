from __future__ import annotations

from agent_relay.core.dialog.session_profile import session_profile_of
from agent_relay.core.protocol.agent_profile import AgentProfile
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
