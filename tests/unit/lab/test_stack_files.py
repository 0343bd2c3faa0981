"""Files of a scenario's stack: faults have their place in the scenario, as the services' own readers find them."""

from __future__ import annotations

from typing import Any

import pytest

from lab.scenario import Scenario
from lab.stack_files import refused_parts, service_faults

DESK: dict[str, Any] = {"targets": {"desk": {"phone": "+14255550172"}}, "rules": [{"name": "all", "agent": "default"}]}


def scenario(**parts: Any) -> Scenario:
    return Scenario.model_validate({"name": "x", **parts})


def test_errors_of_the_services_are_those_of_the_scenario() -> None:
    """Both forms of a path, and settings that the scenario does not have."""
    wanted = {"model": "x", "settings": {"MAX_CALL_S": "0"}, "profile": {"language": 1}}
    mistakes = (
        "default.language: must be a string; write it",
        "default.tools.0.url: is not set",
        "default.tools[1].url: is not set",
        "default.tools (look_up): host; no",
    )
    problems = [
        "MAX_CALL_S: must be 10 or more",
        f"AGENT_PROFILES_FILE: /x/profiles.yaml: {'; '.join(mistakes)}",
        "VOICE_LIVE_MODEL: is not a model",
        "REDIS_SHARDS: must be 1 or more",
    ]
    assert refused_parts(scenario(stack=wanted), problems) == [
        (("stack", "settings", "MAX_CALL_S"), "must be 10 or more"),
        (("stack", "profile", "language"), "must be a string; write it"),
        (("stack", "profile", "tools", 0, "url"), "is not set"),
        (("stack", "profile", "tools", 1, "url"), "is not set"),
        (("stack", "profile", "tools"), "(look_up): host; no"),
        (("stack", "model"), "is not a model"),
    ]
    assert refused_parts(scenario(), problems) == []


def test_errors_in_one_of_several_profiles_are_those_of_the_scenario() -> None:
    wanted = {"profiles": {"night": {"language": 1}, "voice-agent": {}}}
    problem = "AGENT_PROFILES_FILE: /x: night.language: must be a string; voice-agent.tools[0].url: is not set"
    assert refused_parts(scenario(stack=wanted), [problem]) == [
        (("stack", "profiles", "night", "language"), "must be a string"),
        (("stack", "profiles", "voice-agent", "tools", 0, "url"), "is not set"),
    ]


@pytest.mark.parametrize(
    ("stack", "place", "text"),
    [
        (
            {"routing": {**DESK, "targets": {"front desk": {"phone": "+14255550172", "ring_s": "200"}}}},
            ("targets", "front desk", "ring_s"),
            "120",
        ),
        (
            {"routing": {"rules": [{"name": "day", "agnt": "x"}, {"name": "all", "agent": "default"}]}},
            ("rules", 0, "agnt"),
            "is unknown; known fields are name",
        ),
        (
            {"routing": {"rules": [{"name": "day", "hours": "08:00-17:00", "reject": "busy"}, DESK["rules"][0]]}},
            ("rules", 0, "time_zone"),
            "is missing",
        ),
        ({"routing": {"targets": {}}}, ("rules",), "is missing"),
        (
            {"routing": {"rules": [{"name": "all", "agent": "sails"}]}, "profiles": {"sales": {}}},
            ("rules", 0),
            "sails is not an agent profile; the profiles are default, sales",
        ),
    ],
)
def test_faults_of_a_policy_have_their_place(stack: dict[str, Any], place: tuple[Any, ...], text: str) -> None:
    found = [fault for fault in service_faults(scenario(stack=stack), {}) if fault[0] == ("stack", "routing", *place)]
    assert len(found) == 1
    assert text in found[0][1]


def test_targets_of_a_profile_must_be_in_the_policy() -> None:
    wanted = {"actions": ["transfer_call"], "transfer": {"targets": {"desk": "invoices", "disk": "typo"}}}
    fault = "is not a target in the routing policy; the targets are "
    place = ("stack", "profile", "transfer", "targets")
    assert service_faults(scenario(stack={"profile": wanted, "routing": DESK}), {}) == [
        ((*place, "disk"), f"{fault}desk")
    ]
    assert service_faults(scenario(stack={"profile": wanted}), {}) == [
        ((*place, name), f"{fault}none") for name in ("desk", "disk")
    ]
    assert service_faults(scenario(stack={"profile": wanted}), {"ROUTING_POLICY": "routing.yaml"}) == []


def test_agents_may_be_profiles_of_an_exported_file() -> None:
    wanted = scenario(stack={"routing": {"rules": [{"name": "all", "agent": "sales"}]}})
    assert [place for place, _ in service_faults(wanted, {})] == [("stack", "routing", "rules", 0)]
    assert service_faults(wanted, {"AGENT_PROFILES_FILE": "profiles.yaml"}) == []


def test_several_faults_of_profiles_are_separate() -> None:
    wanted = scenario(stack={"profile": {"accent": "de"}, "profiles": {"night": {"dtmf": False}}})
    places = [place for place, _ in service_faults(wanted, {})]
    assert places == [("stack", "profile", "accent"), ("stack", "profiles", "night", "dtmf")]
