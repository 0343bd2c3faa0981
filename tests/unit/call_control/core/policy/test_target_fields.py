from __future__ import annotations

import json

from call_control.core.policy.policy_text import decode_policy, policy_of_text
from call_control.core.policy.routing import Routing
from call_control.core.policy.routing_policy import encode_policy
from call_control.core.policy.transfer_targets import TransferTarget

GUID = "3e9b2b1c-1a2b-4c3d-8e4f-0123456789ab"
POLICY = f"""
targets:
  billing: {{phone: +18005550001, ring_s: 25}}
  anna: {{teams_user: {GUID}, transfer: blind}}
  second level: {{acs_user: 8:acs:res_tenant_user, after_join: leave, when_person_leaves: hang_up}}
resource_accounts:
  reception: {{teams_app: {GUID}, number: +18005550009}}
on_behalf: connect
rules:
  - {{name: desk, called: reception, redirect: billing}}
  - {{name: rest, agent: front-desk}}
""".encode()


def test_targets_by_name_with_their_options() -> None:
    assert Routing(policy=policy_of_text(POLICY)).targets == {
        "billing": TransferTarget("billing", "4:+18005550001", ring_s=25),
        "anna": TransferTarget("anna", f"8:orgid:{GUID}", mode="blind"),
        "second level": TransferTarget(
            "second level", "8:acs:res_tenant_user", after_join="leave", when_person_leaves="hang_up"
        ),
    }
    assert Routing().targets == {}


def test_the_fields_are_shown_as_they_are_written() -> None:
    policy = policy_of_text(POLICY)
    assert encode_policy(policy) == {
        "targets": {
            "billing": {"phone": "4:+18005550001", "ring_s": 25},
            "anna": {"teams_user": f"8:orgid:{GUID}", "transfer": "blind"},
            "second level": {
                "acs_user": "8:acs:res_tenant_user",
                "after_join": "leave",
                "when_person_leaves": "hang_up",
            },
        },
        "resource_accounts": {"reception": {"teams_app": f"28:orgid:{GUID}", "number": "4:+18005550009"}},
        "on_behalf": "connect",
        "rules": [
            {"name": "desk", "called": ["reception"], "redirect": "billing"},
            {"name": "rest", "agent": "front-desk"},
        ],
    }
    assert decode_policy(json.loads(json.dumps(encode_policy(policy)))) == policy
