"""The selection of speakers, for each form that ids may have."""

from __future__ import annotations

import pytest

from bridge_common.wire.call_record import Participant
from media_gateway.core.speakers import CALLER, MOST_SPEAKERS, SPEAKING_S, STRANGER_S, Speakers

CALLING = "4:+14255550100"
PERSON = "4:+14255550177"
USER = "8:acs:resource_user"
OURS = "8:acs:resource_bot"


def people(*raw_ids: str, state: str = "ringing") -> list[Participant]:
    return [Participant(raw_id, state=state) for raw_id in raw_ids]


def test_at_first_only_the_caller_is_heard() -> None:
    speakers = Speakers(CALLING, people(PERSON))
    assert speakers.source_of(CALLING, 0.0) == CALLER
    assert speakers.source_of("", 0.0) == CALLER
    assert not speakers.several
    assert speakers.source_of(PERSON, 0.0) is None
    assert speakers.several


def test_everyone_is_heard_as_a_source_of_their_own() -> None:
    speakers = Speakers(CALLING, people(PERSON))
    speakers.listen("all")
    assert [speakers.source_of(one, 0.0) for one in (CALLING, PERSON, "8:orgid:User", "")] == [
        CALLER, PERSON, "8:orgid:user", CALLER,
    ]  # fmt: skip
    speakers.listen("caller")
    assert speakers.source_of(PERSON, 0.0) is None


def test_the_case_of_an_id_does_not_matter() -> None:
    speakers = Speakers("8:orgid:ABC", people("8:ORGID:def"))
    assert speakers.source_of("8:orgid:abc", 0.0) == CALLER
    assert speakers.source_of("8:orgid:DEF", 0.0) is None


def test_the_others_are_heard_without_the_caller() -> None:
    speakers = Speakers(CALLING, people(PERSON))
    speakers.listen("others")
    assert speakers.several, "slots fill the pauses of the others"
    assert speakers.source_of("8:orgid:User", 0.0) is None, "it may be another notation of the caller's id"
    assert [speakers.source_of(one, 0.0) for one in (CALLING, "", PERSON, "8:orgid:User")] == [
        None, None, PERSON, "8:orgid:user",
    ]  # fmt: skip


def test_mixed_audio_contains_everyone_whoever_is_selected() -> None:
    speakers = Speakers(CALLING, people(PERSON), mixed=True)
    speakers.listen("others")
    assert (speakers.source_of(CALLING, 0.0), speakers.several) == (CALLER, False)


@pytest.mark.parametrize("ours", [OURS, "8:gcch-acs:1_2", "8:dod-acs:1_2", "28:orgid:0b0c"])
@pytest.mark.parametrize("to", ["caller", "all", "others"])
def test_our_own_audio_is_never_heard(to: str, ours: str) -> None:
    speakers = Speakers(CALLING, people(PERSON))
    speakers.listen(to)
    assert speakers.source_of(ours, 0.0) is None
    assert speakers.source_of(CALLING, 0.0) == (None if to == "others" else CALLER)
    assert speakers.several is (to == "others"), "our own audio is not a person"


def test_people_who_use_acs_are_heard_when_the_record_names_them() -> None:
    speakers = Speakers(CALLING)
    speakers.listen("all")
    assert speakers.source_of(USER, 0.0) is None
    assert speakers.lookup_due(0.0)
    speakers.know([])
    assert speakers.lookup_due(1.0), "the record may be older than the frame"
    speakers.know(people(USER))
    assert not speakers.lookup_due(1.0)
    assert speakers.source_of(USER, 1.0) == USER


def test_an_id_that_remains_unknown_is_not_looked_up_for_ever() -> None:
    speakers = Speakers(CALLING)
    for number in range(10):
        assert speakers.source_of(OURS, number) is None
        assert speakers.lookup_due(number) is (number < STRANGER_S)
    speakers.listen("all")
    assert speakers.lookup_due(11.0), "the relay selects again when people join"
    speakers.know([])
    assert not speakers.lookup_due(11.0)
    speakers.source_of(OURS, 11.0)
    assert speakers.lookup_due(11.0)


def test_a_person_who_has_joined_counts_before_their_first_frame() -> None:
    assert not Speakers(CALLING, people(PERSON)).several
    assert Speakers(CALLING, people(PERSON, state="joined")).several
    speakers = Speakers(CALLING)
    speakers.know(people(PERSON, state="joined"))
    assert speakers.several
    assert not Speakers(CALLING, people(PERSON, state="joined"), mixed=True).several


def test_a_caller_who_uses_acs_is_heard() -> None:
    speakers = Speakers(USER)
    assert speakers.source_of(USER, 0.0) == CALLER
    assert speakers.source_of(OURS, 0.0) is None


@pytest.mark.parametrize("caller", ["", "4:", "4:anonymous"])
def test_a_caller_without_an_id_is_heard_under_every_id_but_those_of_others(caller: str) -> None:
    speakers = Speakers(caller, people(PERSON))
    assert speakers.source_of("4:+14255550111", 0.0) == "4:+14255550111"
    assert speakers.source_of(PERSON, 0.0) is None


def test_without_a_caller_in_the_record_every_id_may_be_theirs() -> None:
    assert Speakers("").source_of(OURS, 0.0) == OURS


def test_another_notation_of_the_callers_id_is_heard_until_the_callers_id_occurs() -> None:
    speakers = Speakers(CALLING)
    assert speakers.source_of("4:14255550100", 0.0) == "4:14255550100"
    assert speakers.source_of(CALLING, 0.0) == CALLER
    assert speakers.source_of("4:14255550100", 0.0) is None


def test_ids_of_mixed_audio_are_ignored() -> None:
    speakers = Speakers(CALLING, people(PERSON), mixed=True)
    assert [speakers.source_of(one, 0.0) for one in (CALLING, PERSON, OURS, "")] == [CALLER] * 4
    assert not speakers.several
    assert speakers.count(0.0) == 1


def test_speakers_are_counted_while_they_have_frames() -> None:
    speakers = Speakers(CALLING)
    assert speakers.count(0.0) == 1
    for one in (CALLING, PERSON, "4:+1"):
        speakers.source_of(one, 0.0)
    assert speakers.count(0.5) == 3
    speakers.source_of(CALLING, 0.9)
    assert speakers.count(1.0 + SPEAKING_S / 2) == 1


def test_more_speakers_than_acs_sends_are_not_heard() -> None:
    speakers = Speakers(CALLING)
    speakers.listen("all")
    ids = [f"4:+1425555{number:04}" for number in range(3 * MOST_SPEAKERS)]
    assert sum(speakers.source_of(one, 0.0) is not None for one in ids) == MOST_SPEAKERS
    assert speakers.source_of(ids[-1], SPEAKING_S) == ids[-1], "the others have stopped"
