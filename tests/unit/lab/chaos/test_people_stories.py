"""The cast of a repetition with people, and the routing policy with their targets."""

from __future__ import annotations

import json
from collections import Counter

from lab.chaos.people_stories import AGENT, CALLED, MOST_CALLS, PEOPLE_PROFILES, PEOPLE_ROUTING, STORIES, cast_people


def test_every_call_has_a_target_of_its_own_in_the_policy() -> None:
    castings = list(cast_people(100, 0))
    assert len(castings) == MOST_CALLS
    policy = json.loads(PEOPLE_ROUTING)
    assert {casting.target: f"4:{policy['targets'][casting.target]['phone']}" for casting in castings} == {
        casting.target: casting.raw_id for casting in castings
    }
    assert len({casting.raw_id for casting in castings}) == MOST_CALLS
    assert policy["rules"][0] == {"name": "reception", "called": CALLED, "agent": AGENT}
    assert set(json.loads(PEOPLE_PROFILES)) == {AGENT}


def test_every_story_is_part_of_every_repetition_and_they_alternate() -> None:
    seen: Counter[str] = Counter()
    for turn in range(len(STORIES)):
        found = Counter(casting.story.name for casting in cast_people(16, turn))
        assert set(found) == {story.name for story in STORIES}
        seen.update(found)
    assert set(seen.values()) == {16}


def test_a_person_rings_for_a_shorter_time_than_the_policy_allows() -> None:
    limit_s = json.loads(PEOPLE_ROUTING)["targets"]["desk-0"]["ring_s"]
    assert all(casting.person["after_s"] < limit_s for casting in cast_people(16, 0))


def test_the_request_names_the_target_and_the_mode_of_a_transfer() -> None:
    requests = {casting.story.name: casting.story.request(casting.target) for casting in cast_people(6, 0)}
    assert requests["dialing"] == {"action": "transfer", "target": "desk-0", "mode": "attended"}
    assert requests["blind"]["mode"] == "blind"
    assert requests["added"] == {"action": "add_participant", "target": "desk-5"}
