"""`lab check`: the services' own readers judge the files."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.cli import main

PROFILES = "sales: {language: de-DE}\n"
SCENARIO = """\
name: mine
people:
  "+14255550172": {outcome: answers}
stack:
  routing:
    targets:
      desk: {phone: +14255550172, ring_s: 30}
    rules:
      - {name: all, agent: sales}
  profiles:
    sales: {actions: [transfer_call], transfer: {targets: {desk: invoices}}}
expect:
  participants: [desk left]
"""
POLICY = "rules:\n  - {name: all, agent: sales}\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name, text in {
        "profiles.yaml": PROFILES,
        "routing.yaml": POLICY,
        "other.yaml": "rules:\n  - {name: day, caller: '+1*', agents: {sales: 50, sails: 50}}\n"
        "  - {name: x, agent: desk}\n",
        "transfers.yaml": "sales:\n  actions: [transfer_call]\n"
        "  transfer: {targets: {billing: invoices, anna: sales, bill: typo}}\n",
        "targets.yaml": "targets: {billing: {phone: +18005550001}, anna: {phone: +18005550002}}\n" + POLICY,
        "good-scenario.yaml": SCENARIO,
        "bad-scenario.yaml": SCENARIO.replace("ring_s: 30", "ring_s: 200").replace("[desk left]", "[disk left]"),
        "bad-stack.yaml": SCENARIO.replace("ring_s: 30", "ring_s: 200").replace("agent: sales", "agnt: sales"),
        "unnamed-scenario.yaml": SCENARIO.replace("name: mine\n", ""),
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
    told = [
        "transfers.yaml: 2 agent profiles: default, sales",
        "transfers.yaml: the targets were not compared; give the file of the routing policy as well",
    ]
    assert check(capsys, "transfers.yaml") == (0, told), "without a policy, names cannot be compared"


@pytest.mark.usefixtures("folder")
def test_a_scenario_is_checked_with_its_policy_and_profiles(capsys: pytest.CaptureFixture[str]) -> None:
    """A number without quotes is a phone number, as in a policy; `people` is not its key of that name."""
    assert check(capsys, "good-scenario.yaml", "routing.yaml", "profiles.yaml") == (
        0,
        [
            "good-scenario.yaml: the scenario mine",
            "routing.yaml: a routing policy with 1 rules",
            "profiles.yaml: 2 agent profiles: default, sales",
        ],
    )


@pytest.mark.parametrize(
    ("name", "mistakes"),
    [
        (
            "bad-scenario.yaml",
            ["line 13: `expect.participants[0]` names nobody known; write a name and a state; known: desk"],
        ),
        (
            "bad-stack.yaml",
            [
                "line 7: `stack.routing.targets.desk.ring_s` must be",
                "line 9: `stack.routing.rules[0].agnt` is unknown; known fields are",
            ],
        ),
        ("unnamed-scenario.yaml", ["line 1: `name` is missing"]),
    ],
)
@pytest.mark.usefixtures("folder")
def test_mistakes_of_a_scenario_have_line_and_key(
    name: str, mistakes: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    code, told = check(capsys, name)
    assert code == 2
    for mistake in mistakes:
        assert f"{name}: {mistake}" in "\n".join(told)


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
