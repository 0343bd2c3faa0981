"""Entries to send, entries to send again, and the meaning of each reply, without a server."""

from __future__ import annotations

from typing import Any

import pytest
from hiredis import ReplyError

from bridge_common.streams.append_log import AppendLog, Refused, Unavailable

STORED = b"7-1"
RECEIVERS = 1
"""Reply to a publication."""
LOWER_ID = ReplyError("ERR The ID specified in XADD is equal or smaller than the target stream top item")
FULL = ReplyError("OOM command not allowed when used memory > 'maxmemory'.")
NO_CHANNEL = ReplyError("NOPERM No permissions to access a channel")


def log_with(*owners: str, max_waiting: int = 100) -> AppendLog[str]:
    log: AppendLog[str] = AppendLog(max_waiting)
    for owner in owners:
        log.add(owner, commands_of(owner))
    return log


def commands_of(owner: str) -> bytes:
    return b"append and publish " + owner.encode()


def answer_all(log: AppendLog[str], *replies: Any) -> list[Any]:
    """Return the results of all replies that are not None."""
    return [answer for reply in replies if (answer := log.answer(reply)) is not None]


def test_entries_are_sent_in_order_and_in_batches() -> None:
    log = log_with("a", "b", "c")
    assert log.take(2) == [commands_of("a"), commands_of("b")]
    assert log.take(2) == [commands_of("c")]
    assert log.take(2) == []
    assert (len(log.waiting), len(log.sent)) == (0, 3)


def test_each_entry_is_settled_by_the_reply_to_its_append() -> None:
    log = log_with("a", "b")
    log.take(10)
    settled = []
    for reply in (STORED, RECEIVERS, STORED, RECEIVERS):
        assert log.answer(reply) is None
        settled.append(log.settled)
    assert settled == [1, 1, 2, 2]
    assert (log.added, len(log.waiting), len(log.sent)) == (2, 0, 0)


def test_a_refused_id_fences_its_owner_alone() -> None:
    log = log_with("a", "b")
    log.take(10)
    assert answer_all(log, LOWER_ID, RECEIVERS, STORED, RECEIVERS) == [Refused("a", is_missing=False)]


def test_a_stream_that_does_not_exist() -> None:
    log = log_with("a", "b")
    log.take(10)
    assert answer_all(log, None, 0, STORED, RECEIVERS) == [Refused("a", is_missing=True)]


def test_a_refused_publication_has_no_effect() -> None:
    log = log_with("a", "b")
    log.take(10)
    assert answer_all(log, STORED, NO_CHANNEL, STORED, NO_CHANNEL) == []
    assert log.settled == 2


def test_a_key_of_another_type_is_a_fence() -> None:
    log = log_with("a")
    log.take(10)
    assert answer_all(log, ReplyError("WRONGTYPE Operation against a key")) == [Refused("a", is_missing=False)]


def test_entries_without_a_reply_are_sent_again_before_all_others() -> None:
    log = log_with("a", "b", "c")
    log.take(2)
    assert answer_all(log, STORED, RECEIVERS) == []
    log.lose_connection()
    assert log.take(10) == [commands_of("b"), commands_of("c")]


def test_an_entry_whose_publication_was_not_answered_is_not_sent_again() -> None:
    log = log_with("a", "b")
    log.take(10)
    log.answer(STORED)
    log.lose_connection()
    assert log.take(10) == [commands_of("b")]
    assert answer_all(log, STORED, RECEIVERS) == [], "the first reply is that of an append again"
    assert log.settled == 2


def test_a_refused_repetition_is_no_fence_and_the_next_entry_is() -> None:
    """The earlier attempt may have stored it. A writer that was fenced meanwhile is notified with its next entry."""
    log = log_with("a", "a")
    log.take(10)
    log.lose_connection()
    log.add("a", b"new")
    log.take(10)
    replies = (LOWER_ID, RECEIVERS, LOWER_ID, RECEIVERS, LOWER_ID, RECEIVERS)
    assert [log.answer(reply) for reply in replies] == [None, None, None, None, Refused("a", is_missing=False), None]


def test_a_repetition_without_a_stream_is_reported() -> None:
    log = log_with("a")
    log.take(10)
    log.lose_connection()
    log.take(10)
    assert answer_all(log, None, RECEIVERS) == [Refused("a", is_missing=True)]


def test_doubt_ends_after_the_repeated_entries_of_every_batch() -> None:
    log = log_with("a", "b", "c")
    log.take(10)
    log.lose_connection()
    log.take(1)
    log.add("d", b"new")
    assert log.take(10) == [commands_of("b"), commands_of("c"), b"new"]
    refused = answer_all(log, *(LOWER_ID, RECEIVERS) * 4)
    assert refused == [Refused("d", is_missing=False)]


def test_doubt_survives_a_second_loss() -> None:
    log = log_with("a", "b")
    log.take(10)
    log.lose_connection()
    log.take(1)
    log.lose_connection()
    log.take(10)
    assert answer_all(log, *(LOWER_ID, RECEIVERS) * 2) == []


def test_entries_that_were_never_sent_are_not_in_doubt() -> None:
    log = log_with("a")
    log.lose_connection()
    log.take(10)
    assert answer_all(log, LOWER_ID, RECEIVERS) == [Refused("a", is_missing=False)]


@pytest.mark.parametrize("answered", [0, 1])
def test_a_server_that_stores_nothing_settles_nothing(answered: int) -> None:
    """Redis may reject the append or the publication."""
    log = log_with("a", "b")
    log.take(10)
    for _ in range(answered):
        log.answer(STORED)
    assert log.answer(FULL) == Unavailable(str(FULL))
    assert log.settled == answered
    log.lose_connection()
    assert log.take(10) == [commands_of(owner) for owner in ("a", "b")[answered:]]


def test_oldest_waiting_entries_are_dropped_at_the_limit() -> None:
    log = log_with("a", "b", max_waiting=2)
    assert not log.add("c", commands_of("c"))
    assert (log.dropped, log.settled, log.added) == (1, 1, 3)
    assert log.take(10) == [commands_of("b"), commands_of("c")]
    assert log.add("d", commands_of("d")), "sent entries do not count"


def test_a_dropped_entry_takes_its_doubt_along() -> None:
    log = log_with("a", "b", max_waiting=2)
    log.take(10)
    log.lose_connection()
    log.add("c", commands_of("c"))
    log.take(10)
    assert answer_all(log, *(LOWER_ID, RECEIVERS) * 2) == [Refused("c", is_missing=False)]


def test_every_entry_is_settled_once_however_often_the_connection_is_lost() -> None:
    log = log_with()
    for number in range(200):
        log.add(str(number), b"%d" % number)
        log.take(number % 4)
        if log.sent and number % 3:
            log.answer(STORED)
            if number % 5:
                log.answer(RECEIVERS)
            else:
                log.lose_connection()
        elif number % 7 == 0:
            log.lose_connection()
        assert log.added == log.settled + len(log.waiting) + len(log.sent)
    log.lose_connection()
    remaining = len(log.take(1000))
    answer_all(log, *(STORED, RECEIVERS) * remaining)
    assert (log.settled, len(log.waiting), len(log.sent)) == (200, 0, 0)
