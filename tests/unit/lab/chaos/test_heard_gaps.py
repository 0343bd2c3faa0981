"""Silences and apologies, from the records of the simulated ACS."""

from __future__ import annotations

import io
import wave
from unittest.mock import Mock

import numpy as np
import pytest

from lab.chaos import heard_gaps
from lab.chaos.apology import recorded_apology
from lab.chaos.row import Scene
from lab.heard_audio import Samples

RATE_HZ = 16_000


def scene(**moments: float) -> Scene:
    return Scene(Mock(), Mock(), moments=moments)


def test_a_silence_counts_from_the_fault_to_the_end_of_the_call() -> None:
    spans = {"a": [(1.0, 2.5), (9.5, 12.0)], "b": [(10.0, 30.0)]}
    there = scene(drop=10.0)
    there.crowd = Mock(placed={1: "a", 2: "b"})
    there.crowd.marks.side_effect = lambda lab_id: {"silences": spans[lab_id]}
    there.crowd.phone.side_effect = lambda lab_id: {
        "timeline": [{"event": "ended", "t": 11.0}] if lab_id == "b" else []
    }
    assert heard_gaps.silences(there, []) == {"silence_s": pytest.approx(2.5)}
    both = heard_gaps.with_silences(lambda *_: {"x": 1.0})
    assert both(there, []) == {"x": 1.0, "silence_s": pytest.approx(2.5)}


def heard_wav(agent: Samples) -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as wav:
        wav.setnchannels(2)
        wav.setsampwidth(2)
        wav.setframerate(RATE_HZ)
        wav.writeframes(np.column_stack([np.zeros(len(agent)), agent]).astype("<i2").tobytes())
    return out.getvalue()


def test_a_caller_counts_only_if_the_apology_was_heard_to_its_end_and_we_hung_up() -> None:
    sorry = recorded_apology(RATE_HZ)
    begins = np.zeros(2 * RATE_HZ)
    sounds = {"whole": np.concatenate([begins, sorry]), "cut": np.concatenate([begins, sorry[: len(sorry) // 2]])}
    sounds["left"] = sounds["whole"]
    over = 102 + len(sorry) / RATE_HZ
    ends = {"whole": (over + 0.5, "agent_hung_up"), "cut": (over, "agent_hung_up"), "left": (over, "caller_hung_up")}
    there = scene(drop=101.5)
    there.crowd = Mock()
    there.crowd.recording.side_effect = lambda lab_id: heard_wav(sounds[lab_id])
    there.crowd.phone.side_effect = lambda lab_id: {
        "line_opened": 100.0,
        "timeline": [{"event": "hang_up", "t": ends[lab_id][0], "reason": ends[lab_id][1]}],
    }
    there.crowd.placed = {1: "whole"}
    assert heard_gaps.apologies(there, []) == {
        "apologized_pct": 100,
        "apology_heard_pct": 100,
        "hung_up_after_s": pytest.approx(0.5, abs=0.01),
    }
    there.crowd.placed = {1: "whole", 2: "cut"}
    found = heard_gaps.apologies(there, [])
    assert found["apologized_pct"] == 50
    assert 30 < found["apology_heard_pct"] < 70
    there.crowd.placed = {1: "whole", 2: "left"}
    found = heard_gaps.apologies(there, [])
    assert (found["apologized_pct"], found["hung_up_after_s"]) == (50, float("inf"))
