from __future__ import annotations

import json
from dataclasses import replace

import pytest

from bridge_common.base.errors import EntryError
from call_control.core.policy.policy_in_force import PolicyInForce, decode_in_force, encode_in_force, version_in
from call_control.core.policy.policy_text import PolicyError, decode_policy

POLICY = decode_policy(
    {"rules": [{"name": "a", "called": "+1*", "percent": 2.5, "agent": "x"}, {"name": "b", "reject": "busy"}]}
)
HELD = PolicyInForce(7, POLICY, 1_795_000_000_000, "operator anna (API key 1)", "d1", "k1", "abcd")


@pytest.mark.parametrize("held", [HELD, PolicyInForce(), replace(HELD, policy=None)])
def test_a_stored_policy_is_read_again(held: PolicyInForce) -> None:
    assert decode_in_force(encode_in_force(held)) == held


def test_the_etag_distinguishes_versions_and_their_authors() -> None:
    assert len({HELD.etag, replace(HELD, version=8).etag, replace(HELD, id="ef01").etag}) == 3
    assert HELD.etag == decode_in_force(encode_in_force(HELD)).etag
    assert HELD.etag == '"7-abcd"'


def test_a_stored_policy_may_have_a_rule_whose_name_is_reserved_since() -> None:
    content = {"rules": [{"name": "kill_switch", "agent": "x"}]}
    with pytest.raises(PolicyError, match="reserved"):
        decode_policy(content)
    stored = encode_in_force(replace(HELD, policy=None)).replace(b"null", json.dumps(content).encode())
    policy = decode_in_force(stored).policy
    assert policy is not None
    assert [rule.name for rule in policy.rules] == ["kill_switch"]


@pytest.mark.parametrize(
    "stored",
    [b"", b"x", b"[]", b"{}", b'{"version": 1}', b"\xff", encode_in_force(HELD).replace(b"percent", b"per_mille")],
)
def test_stored_text_that_could_not_be_decoded(stored: bytes) -> None:
    with pytest.raises(EntryError):
        decode_in_force(stored)


def test_the_version_of_text_that_could_not_be_decoded() -> None:
    assert version_in(b'{"version": 12, "policy": {"rules": "of the future"}}') == 12
    assert [version_in(stored) for stored in (b"", b"x", b"[]", b'{"version": null}')] == [0, 0, 0, 0]
