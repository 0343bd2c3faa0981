"""The people in a call of the simulated ACS; the calls themselves are covered by the rows of `make chaos`."""

from __future__ import annotations

from lab.chaos.people_calls import caller_of, people_of


def test_people_are_neither_the_caller_nor_the_application() -> None:
    ids = ["4:+14255580003", "8:acs:resource_bot", "4:+14255570001"]
    phone = {"from": "+14255580003", "participants": [{"raw_id": one, "muted": False} for one in ids]}
    assert caller_of(phone) == "4:+14255580003"
    assert people_of(phone) == ["4:+14255570001"]
