"""The readers of the services, as `lab` runs them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from lab.service_readers import POLICY, PROFILES, ReaderError, read, unknown_agents, unknown_targets


def test_files_are_read_by_the_services(tmp_path: Path) -> None:
    (tmp_path / "profiles.yaml").write_text("sales: {}\n", encoding="utf-8")
    (tmp_path / "routing.yaml").write_text("rules: [{name: all, agnt: sales}]\n", encoding="utf-8")
    assert read(PROFILES, tmp_path / "profiles.yaml")["profiles"] == ["default", "sales"]
    [mistake, _] = read(POLICY, tmp_path / "routing.yaml")["mistakes"]
    assert mistake.startswith("rules[0] (all).agnt: is unknown")
    assert read(PROFILES, tmp_path / "none.yaml")["mistakes"] == ["cannot be read: No such file or directory"]


def test_a_reader_that_cannot_run_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho No module named agent_relay >&2\nexit 1\n", encoding="utf-8")
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    with pytest.raises(ReaderError, match="could not be checked: No module named agent_relay; run `make install`"):
        read(PROFILES, tmp_path / "profiles.yaml")


def test_names_of_both_files_are_compared() -> None:
    policy = {"agents": {"rules[0] (a)": ["sales", "sails"]}, "targets": []}
    assert list(unknown_agents(policy, ["default", "sales"])) == [
        "rules[0] (a): sails is not an agent profile; the profiles are default, sales"
    ]
    profiles = {"targets": {"sales": ["desk"]}}
    assert list(unknown_targets(profiles, ["desk"])) == []
    [fault] = unknown_targets(profiles, [])
    assert fault == "sales.transfer.targets.desk: is not a target in the routing policy; the targets are none"
