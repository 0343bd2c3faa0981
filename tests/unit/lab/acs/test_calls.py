from __future__ import annotations

import itertools

import pytest

from lab.acs.calls import TRANSITIONS, CallState, MediaOptions, SimulatedCall
from lab.acs.party_identifiers import Identifier


def call() -> SimulatedCall:
    return SimulatedCall(Identifier("4:+1425"), Identifier("4:+1800"), Identifier("8:acs:res_app"))


@pytest.mark.parametrize(("before", "after"), [*itertools.product(CallState, CallState)])
def test_only_the_changes_in_the_table_happen(before: CallState, after: CallState) -> None:
    one = call()
    one.state = before
    if after in TRANSITIONS[before]:
        one.become(after)
        assert one.state is after
        assert one.decided.is_set()
        assert one.ended.is_set() == (not TRANSITIONS[after])
    else:
        with pytest.raises(ValueError, match=f"a call cannot change from {before} to {after}"):
            one.become(after)
        assert one.state is before


def test_properties_name_the_parties_of_an_inbound_call() -> None:
    one = call()
    one.media = MediaOptions("ws://x", 16_000, start=True, bidirectional=True, unmixed=True, dtmf=False)
    properties = one.properties()
    assert properties["answeredFor"] == {"value": "+1800"}
    assert properties["answeredBy"] == {"id": "8:acs:res_app"}
    subscription = properties["mediaStreamingSubscription"]
    assert isinstance(subscription, dict)
    assert subscription["state"] == "inactive"
    shown = one.json()
    assert (shown["from"], shown["to"], shown["call_connection_id"]) == ("+1425", "+1800", None)


def test_an_outbound_call_is_from_the_app_to_the_simulated_party() -> None:
    one = call()
    one.outbound = True
    assert one.properties()["targets"] == [Identifier("4:+1425").json()]
    assert one.properties()["sourceCallerIdNumber"] == {"value": "+1800"}
    assert (one.json()["from"], one.json()["to"]) == ("+1800", "+1425")
