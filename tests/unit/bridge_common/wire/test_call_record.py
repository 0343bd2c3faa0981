"""The call record and its encoding as a Redis hash."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge_common.base.errors import EntryError
from bridge_common.wire.call_record import (
    FOREIGN_FIELDS,
    CallAction,
    CallRecord,
    Participant,
    PendingCommand,
    Status,
    TransferStage,
    decode_record,
    encode_record,
)

PENDING = st.builds(PendingCommand, st.integers(0, 2**31), st.text(), st.text())
ACTIONS = st.builds(CallAction, *[st.text()] * 4, st.integers(0, 2**63), *[st.text()] * 3)
PARTICIPANTS = st.builds(Participant, *[st.text()] * 5, st.integers(0, 2**63), st.booleans(), st.booleans())
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "str": st.text(),
    "int": st.integers(0, 2**63),
    "bool": st.booleans(),
    "Status": st.sampled_from(Status),
    "tuple[PendingCommand, ...]": st.lists(PENDING, max_size=4).map(tuple),
    "TransferStage": st.sampled_from(TransferStage),
    "tuple[Participant, ...]": st.lists(PARTICIPANTS, max_size=4).map(tuple),
    "tuple[CallAction, ...]": st.lists(ACTIONS, max_size=4).map(tuple),
}
RECORDS = st.builds(CallRecord, **{field.name: VALUES[str(field.type)] for field in fields(CallRecord)})


def stored(record: CallRecord) -> dict[bytes, bytes]:
    """Return a hash as Redis returns it."""
    return {name.encode(): value.encode() for name, value in encode_record(record).items()}


@given(RECORDS)
def test_every_record_survives_the_round_trip(record: CallRecord) -> None:
    assert decode_record(stored(record)) == record


def test_fields_of_a_newer_version_are_ignored() -> None:
    record = CallRecord(call_id="c", status=Status.RINGING)
    assert decode_record({**stored(record), b"mood": b"good"}) == record


def test_values_of_a_newer_action_are_ignored() -> None:
    record = CallRecord(call_id="c", status=Status.CONNECTED, actions=(CallAction("a", "note", "{}", "agent", 1),))
    newer = b'[["a","note","{}","agent",1,"accepted","","","mood"]]'
    assert decode_record({**stored(record), b"actions": newer}) == record


def test_missing_fields_take_their_defaults() -> None:
    assert decode_record({b"call_id": b"c", b"status": b"ringing"}) == CallRecord(call_id="c", status=Status.RINGING)


@pytest.mark.parametrize(
    "damage",
    [
        {b"status": b"dancing"},
        {b"version": b"one"},
        {b"version": b""},
        {b"caller": b"\xff"},
        {b"pending": b"nothing"},
        {b"pending": b"5"},
        {b"pending": b"[[1]]"},
        {b"pending": b"[[null, 1, 2]]"},
        {b"actions": b"[5]"},
        {b"actions": b"[[]]"},
    ],
)
def test_a_damaged_hash_is_refused(damage: dict[bytes, bytes]) -> None:
    record = CallRecord(call_id="c", status=Status.RINGING)
    [name] = damage
    with pytest.raises(EntryError, match=f"field `{name.decode()}` is invalid"):
        decode_record({**stored(record), **damage})


@pytest.mark.parametrize("missing", [b"call_id", b"status"])
def test_a_hash_without_its_name_or_status_is_refused(missing: bytes) -> None:
    record = stored(CallRecord(call_id="c", status=Status.RINGING))
    del record[missing]
    with pytest.raises(EntryError, match=f"field `{missing.decode()}` is missing"):
        decode_record(record)


@given(st.dictionaries(st.sampled_from([f.name.encode() for f in fields(CallRecord)]), st.binary(max_size=20)))
def test_any_hash_gives_a_record_or_an_error(damage: dict[bytes, bytes]) -> None:
    try:
        record = decode_record(damage)
    except EntryError:
        return
    assert isinstance(record, CallRecord)


@pytest.mark.parametrize(
    ("status", "live"),
    [
        (Status.RINGING, True),
        (Status.ANSWERING, True),
        (Status.CONNECTED, True),
        (Status.TRANSFERRING, True),
        (Status.ENDING, False),
        (Status.DIVERTING, False),
        (Status.ENDED, False),
    ],
)
def test_which_calls_are_worked_for(status: Status, live: bool) -> None:
    assert status.live is live


def test_foreign_fields_are_fields() -> None:
    assert {field.name for field in fields(CallRecord)} >= FOREIGN_FIELDS
