"""The stack itself: what it says when it cannot stand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lab.ports import free_port
from lab.stack import Ports, Process, Stack, StackError, log_tail, probe_status, recall, remember, running, standing


def test_every_part_stands_and_is_known_by_name(stack: Stack) -> None:
    assert [process.name for process in stack.processes] == [
        *("redis", "identity", "voice-live", "acs", "call-control", "media-gateway", "agent-relay")
    ]
    assert probe_status(stack.url("agent-relay") + "/readyz") == 200
    assert stack.dead() == []


def test_a_part_that_cannot_start_is_named_with_its_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REDIS_URL", raising=False)
    stack = Stack(Ports.free(), tmp_path, extra={"agent-relay": {"AGENT_NAME": "", "AZURE_VOICE_LIVE_ENDPOINT": "x"}})
    told = r"agent-relay ended with 2(.|\n)*AZURE_VOICE_LIVE_ENDPOINT(.|\n)*whole log"
    with pytest.raises(StackError, match=told), running(stack):
        pytest.fail("it must not start")
    assert len(stack.dead()) == len(stack.processes)


def test_settings_of_a_real_subscription_do_not_reach_the_lab(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stack: Stack
) -> None:
    monkeypatch.setenv("AZURE_VOICE_LIVE_API_KEY", "secret")
    monkeypatch.setenv("ACS_CONNECTION_STRING", "endpoint=https://real;accesskey=c2VjcmV0")
    from lab.stack import _inherited

    assert not {"AZURE_VOICE_LIVE_API_KEY", "ACS_CONNECTION_STRING"} & _inherited().keys()


def test_what_was_remembered_is_recalled(tmp_path: Path) -> None:
    assert recall(tmp_path) is None
    stack = Stack(Ports(), tmp_path)
    stack.processes.append(Process("acs", 8090, None))
    remember(stack)
    recalled = recall(tmp_path)
    assert recalled is not None
    assert (recalled.ports, recalled.url("acs")) == (Ports(), "http://127.0.0.1:8090")


def test_a_stack_that_others_started_is_found_when_all_of_it_is_ready(stack: Stack, tmp_path: Path) -> None:
    found = standing(tmp_path, stack.ports)
    assert found is not None
    assert found.url("agent-relay") == stack.url("agent-relay")
    assert found.dead() == []
    assert standing(tmp_path, replace(stack.ports, agent_relay=free_port())) is None


def test_nobody_there_has_status_0_and_no_log_is_told(tmp_path: Path) -> None:
    assert probe_status(f"http://127.0.0.1:{free_port()}/x") == 0
    assert "no log" in log_tail(Process("acs", 1, None))
