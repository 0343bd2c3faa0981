"""Measurements from traces after a fault of a process; the faults themselves are covered by the end-to-end tests."""

from __future__ import annotations

from unittest.mock import Mock

import pytest

from lab.chaos import process_faults
from lab.chaos.call_evidence import CallEvidence, SeenVoiceSession
from lab.chaos.row import Scene

FOREVER = float("inf")


def scene(**moments: float) -> Scene:
    return Scene(Mock(), Mock(), moments=moments)


def trace(*sessions: SeenVoiceSession, heard: tuple[tuple[int, int, float], ...] = ()) -> CallEvidence:
    return CallEvidence(1, True, [], heard, sessions)


def test_a_zombie_lives_until_its_session_is_closed() -> None:
    claimed = trace(SeenVoiceSession(0.0, 10.4, [], []), SeenVoiceSession(6.0, FOREVER, [], []))
    alone = trace(SeenVoiceSession(0.0, FOREVER, [], []))
    assert process_faults.zombie_life(scene(thawed=10.0), [claimed, alone]) == {"zombie_s": pytest.approx(0.4)}
    assert process_faults.zombie_life(scene(thawed=10.0), [alone]) == {"zombie_s": 0.0}
