"""The resource: quota, and access to stored conversations."""

from __future__ import annotations

from dataclasses import replace
from unittest.mock import Mock

from lab.voice_live.resource import HandshakeQuota, Resource
from lab.voice_live.settings import VoiceLiveSettings
from tests.support.voice_live_stage import AGENT, CASCADED


def test_the_quota_counts_a_rolling_minute() -> None:
    quota = HandshakeQuota(2)
    assert [quota.take(at) for at in (0.0, 30.0, 59.9, 60.0, 60.1, 90.0)] == [True, True, False, True, False, True]
    assert quota.next_at == 120.0, "the handshake at 60.0 is the oldest that counts"
    assert [quota.counted(at) for at in (90.0, 119.9, 120.0, 150.0)] == [2, 2, 1, 0]
    assert quota.most == 2
    unlimited = HandshakeQuota(0)
    assert all(unlimited.take(1.0) for _ in range(100))


def test_a_conversation_is_resumed_by_its_own_agent_and_project_only() -> None:
    resource = Resource(VoiceLiveSettings())
    first, resumed = resource.conversation_for(AGENT)
    assert not resumed
    asked = replace(AGENT, conversation_id=first.id)
    assert resource.conversation_for(asked) == (first, True)
    for other in (
        replace(asked, name="thief"),
        replace(asked, project="other"),
        replace(asked, conversation_id="conv_x"),
    ):
        stranger, resumed = resource.conversation_for(other)
        assert not resumed
        assert stranger.id != first.id


def test_model_mode_always_starts_a_new_conversation() -> None:
    resource = Resource(VoiceLiveSettings())
    assert resource.conversation_for(CASCADED)[0].id != resource.conversation_for(CASCADED)[0].id


def test_classic_agents_have_threads() -> None:
    classic = replace(AGENT, classic=True)
    assert Resource(VoiceLiveSettings()).conversation_for(classic)[0].id.startswith("thread_")


def test_the_marks_of_a_call_are_numbered_over_all_its_sessions() -> None:
    resource = Resource(VoiceLiveSettings())
    assert resource.first_mark(7) == 0
    for name, call, last in (("one", 7, 40), ("two", 7, 1100), ("other", 8, 9000)):
        session = Mock()
        session.record.id, session.record.marks_sent = name, [(call, last, 1.0)]
        resource.keep(session)
    assert resource.first_mark(7) == 2100
    assert resource.first_mark(9) == 0
