"""`lab check`: the services' own readers judge the files."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.cli import main

PROFILES = "sales: {language: de-DE}\n"
POLICY = "rules:\n  - {name: all, agent: sales}\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name, text in {
        "profiles.yaml": PROFILES,
        "routing.yaml": POLICY,
        "other.yaml": "rules:\n  - {name: day, caller: '+1*', agents: {sales: 50, sails: 50}}\n"
        "  - {name: x, agent: desk}\n",
        "transfers.yaml": "sales: {transfer: {targets: {billing: invoices, anna: sales, bill: typo}}}\n",
        "targets.yaml": "targets: {billing: {phone: +18005550001}, anna: {phone: +18005550002}}\n" + POLICY,
        "bad-policy.yaml": "rules:\n  - {name: all, agnt: sales}\n",
        "bad-profiles.yaml": "sales: {accent: de-DE}\nnight: {dtmf: no}\n",
    }.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def check(capsys: pytest.CaptureFixture[str], *names: str) -> tuple[int, list[str]]:
    code = main(["check", *names])
    return code, "".join(capsys.readouterr()).splitlines()


@pytest.mark.usefixtures("folder")
def test_good_files_are_described(capsys: pytest.CaptureFixture[str]) -> None:
    expected = [
        "routing.yaml: a routing policy with 1 rules",
        "profiles.yaml: 2 agent profiles: default, sales",
    ]
    assert check(capsys, "routing.yaml", "profiles.yaml") == (0, expected)
    code, told = check(capsys, "routing.yaml")
    assert (code, told[1]) == (0, "routing.yaml: the agents were not compared; give the file of the profiles as well")


@pytest.mark.usefixtures("folder")
def test_agents_that_are_no_profiles_are_mistakes(capsys: pytest.CaptureFixture[str]) -> None:
    code, told = check(capsys, "other.yaml", "profiles.yaml")
    assert code == 2
    assert told[2:] == [
        "other.yaml: rules[0] (day): sails is not an agent profile; the profiles are default, sales",
        "other.yaml: rules[1] (x): desk is not an agent profile; the profiles are default, sales",
    ]


@pytest.mark.usefixtures("folder")
def test_targets_of_profiles_must_be_in_the_policy(capsys: pytest.CaptureFixture[str]) -> None:
    start = "transfers.yaml: sales.transfer.targets."
    code, told = check(capsys, "transfers.yaml", "targets.yaml")
    assert (code, told[2:]) == (
        2,
        [f"{start}bill: is not a target in the routing policy; the targets are billing, anna"],
    )
    code, told = check(capsys, "transfers.yaml", "routing.yaml")
    assert code == 2
    assert told[2] == f"{start}billing: is not a target in the routing policy; the targets are none"
    assert check(capsys, "transfers.yaml")[0] == 0, "without a policy, names cannot be compared"


@pytest.mark.usefixtures("folder")
def test_the_mistakes_of_all_files_are_reported_together(capsys: pytest.CaptureFixture[str]) -> None:
    code, told = check(capsys, "bad-policy.yaml", "bad-profiles.yaml", "none.yaml")
    assert code == 2
    text = "\n".join(told)
    for part in (
        "bad-policy.yaml: rules[0] (all).agnt: is unknown",
        "bad-profiles.yaml: sales.accent: is unknown; known fields are",
        "night.dtmf: must be",
        "none.yaml: cannot be read: No such file or directory",
    ):
        assert part in text
