from __future__ import annotations

from agent_relay.core.dialog.audience import TO_ALL, TO_CALLER, TO_NOBODY, UNKNOWN_PARTIES, Audience, CallParties
from agent_relay.core.dialog.conversation_commands import Append


def test_the_caller_is_selected_at_the_beginning() -> None:
    audience = Audience(UNKNOWN_PARTIES, hears_all=True, unknown=False)
    assert audience.usual == TO_CALLER
    assert audience.select(TO_CALLER) == []
    assert audience.media_attached() == []


def test_after_another_relay_the_selection_is_always_sent() -> None:
    audience = Audience(UNKNOWN_PARTIES, hears_all=False, unknown=True)
    assert audience.media_attached() == []
    assert audience.select(TO_CALLER) == [Append(TO_CALLER)]
    assert audience.select(TO_CALLER) == []


def test_a_new_socket_needs_every_other_selection() -> None:
    audience = Audience(UNKNOWN_PARTIES, hears_all=False, unknown=False)
    for wanted in (TO_ALL, TO_NOBODY):
        assert audience.select(wanted) == audience.media_attached() == [Append(wanted)]


def test_all_are_heard_while_there_are_several() -> None:
    audience = Audience(CallParties(people=("sales",)), hears_all=True, unknown=False)
    assert (audience.several, audience.usual) == (True, TO_ALL)
    assert not audience.gathered(["sales"])
    assert audience.gathered([])
    assert (audience.several, audience.usual) == (False, TO_CALLER)
    assert Audience(CallParties(people=("sales",)), hears_all=False, unknown=False).usual == TO_CALLER


def test_the_selection_is_repeated_when_people_join_or_leave() -> None:
    audience = Audience(UNKNOWN_PARTIES, hears_all=False, unknown=False)
    for names in (["sales"], ["sales", "billing"], []):
        assert audience.gathered(names)
        assert audience.select(audience.usual) == [Append(TO_CALLER)]
        assert not audience.gathered(names)
        assert audience.select(audience.usual) == []


def test_who_may_be_the_caller() -> None:
    audience = Audience(CallParties("4:+1"), hears_all=False, unknown=False)
    assert [audience.may_be_caller(one) for one in ("", "4:+1", "4:+2")] == [True, True, False]
    unknown = Audience(UNKNOWN_PARTIES, hears_all=False, unknown=False)
    assert unknown.may_be_caller("4:+2")
