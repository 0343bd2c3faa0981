from __future__ import annotations

from lab.acs.call_book import CallBook
from lab.acs.calls import CallState, SimulatedCall
from lab.acs.party_identifiers import Identifier


def call() -> SimulatedCall:
    return SimulatedCall(Identifier("4:+1425"), Identifier("4:+1800"), Identifier("8:acs:res_app"))


def test_the_book_finds_calls_by_each_name_and_forgets_the_oldest_ended() -> None:
    book = CallBook(keep=2)
    calls = [call() for _ in range(3)]
    for one in calls[:2]:
        book.add(one)
    assert book.by_context(calls[0].context) is book.by_connection(calls[0].connection_id) is calls[0]
    calls[1].become(CallState.REJECTED)
    book.add(calls[2])
    assert [one.id for one in book.all()] == [calls[0].id, calls[2].id]
    assert book.by_id(calls[1].id) is book.by_context(calls[1].context) is None
    book.add(call())
    assert len(book.all()) == 3
