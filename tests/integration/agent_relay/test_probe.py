"""The probe against the simulated Voice Live."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agent_relay.probe.__main__ import main
from lab.voice_live.settings import DEFAULT_API_KEY
from tests.support.simulators import Simulator


@pytest.fixture
def environment(voice_live: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "AZURE_VOICE_LIVE_ENDPOINT": voice_live.url,
        "AZURE_VOICE_LIVE_API_KEY": DEFAULT_API_KEY,
        "VOICE_LIVE_MODEL": "gpt-4.1",
        "ALLOW_INSECURE": "plain-http,known-keys",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("REDIS_URL", "")
    monkeypatch.delenv("REDIS_URL")  # so that the one set by the probe is removed after the test


def test_every_question_gets_an_answer(environment: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "answers.json"
    assert main(["--json", str(path)]) == 0
    found = json.loads(path.read_text())
    answers = found["answers"]
    assert found["mode"] == "model"
    assert answers["session.update with `temperature`"] == "accepted"
    assert answers["a system item"] == "accepted as system"
    assert answers["response.create with `pre_generated_assistant_message`"].endswith("(verbatim)")
    assert answers["conversation.item.truncate"] == "accepted"
    assert "session.created" in answers["types of events seen"]
    assert not [question for question, answer in answers.items() if answer in ("no answer", "no response")]
    printed = capsys.readouterr().out
    assert all(question in printed for question in answers)


def test_an_unreachable_service_ends_the_probe_with_a_message(
    environment: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AZURE_VOICE_LIVE_ENDPOINT", "http://127.0.0.1:1")
    assert main([]) == 1
    assert "the probe ended early: Voice Live is unreachable" in capsys.readouterr().err
