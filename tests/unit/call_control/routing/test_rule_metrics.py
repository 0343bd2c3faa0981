"""Series of routing rules. tests/integration/call_control/routing/test_policy_keeper.py shows them through a policy."""

from __future__ import annotations

import pytest
from prometheus_client.parser import text_string_to_metric_families

from bridge_common.observability import telemetry
from call_control.core.policy.policy_text import decode_policy
from call_control.core.policy.routing import Accepted, Connected, Redirected, Rejected, Routed
from call_control.routing import rule_metrics

AGENTS = {"phone": "+14255550190"}


def actions_of(rule: str) -> set[str]:
    families = text_string_to_metric_families(telemetry.render()[0].decode())
    return {
        sample.labels["action"]
        for family in families
        for sample in family.samples
        if sample.name == "bridge_calls_routed_total" and sample.labels["rule"] == rule
    }


@pytest.mark.parametrize(
    ("decides", "actions"),
    [
        ({"agent": "a"}, {"agent"}),
        ({"reject": "busy"}, {"reject"}),
        ({"redirect": "human_agents"}, {"redirect", "connect", "reject"}),
    ],
)
def test_a_rule_has_the_series_of_its_actions(decides: dict[str, str], actions: set[str]) -> None:
    name = f"rule-{next(iter(decides))}"
    rule_metrics.know(decode_policy({"human_agents": AGENTS, "rules": [{"name": name, **decides}]}))
    assert actions_of(name) == actions


def test_settings_that_decide_have_series_without_a_policy() -> None:
    rule_metrics.know(None)
    assert actions_of("DEFAULT_PROFILE") == {"agent", "reject"}
    assert actions_of("kill_switch") == {"redirect", "connect", "reject"}
    assert actions_of("on_behalf") == {"connect"}


def test_a_rule_that_was_never_in_force_is_counted_as_other() -> None:
    for decision in (Accepted("a"), Connected("4:+1"), Redirected("4:+1"), Rejected("busy")):
        rule_metrics.count(Routed(decision, "from-nowhere", ""))
    assert actions_of("from-nowhere") == set()
    assert actions_of("other") == {"agent", "connect", "redirect", "reject"}
