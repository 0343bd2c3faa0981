from __future__ import annotations

from pathlib import Path

import pytest

from call_control.core.policy.routing_policy import PolicyError
from call_control.routing.policy_file import load_policy


def test_a_file(tmp_path: Path) -> None:
    path = tmp_path / "routing.yaml"
    path.write_text("rules: [{name: all-calls, agent: front-desk}]")
    assert [rule.agent for rule in load_policy(path).rules] == ["front-desk"]


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    for path in (tmp_path / "nowhere.yaml", tmp_path):
        with pytest.raises(PolicyError, match="cannot be read"):
            load_policy(path)
