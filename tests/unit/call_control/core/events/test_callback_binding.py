"""Callbacks of other calls change nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from bridge_common.wire.call_record import Status
from bridge_common.wire.entries import HangUp
from call_control.core.events.callbacks import AcsEvent
from call_control.core.machine import call_commands
from call_control.core.machine.call_events import KNOWN_CALLBACKS
from call_control.core.machine.transition import CallPolicy
from tests.unit.support.call_life import (
    CALL,
    CONNECTION,
    Life,
    answering,
    callback,
    ending,
    ringing,
    talking,
)

FOREIGN = "9f0c7e11-0000-4000-8000-000000000000"
LEG = "7a659f41"


def of(connection_id: str, type_: str, correlation_id: str = "") -> AcsEvent:
    return replace(callback(type_), connection_id=connection_id, correlation_id=correlation_id)


def ignored(life: Life, event: AcsEvent, field: str) -> bool:
    before = life.record
    commands_of_it = life.on(event)
    return life.record == before and commands_of_it == [] and life.step.foreign == field


@pytest.mark.parametrize("make", [talking, ending])
@pytest.mark.parametrize("type_", sorted(KNOWN_CALLBACKS))
@pytest.mark.parametrize("connection_id", [FOREIGN, ""])
def test_a_callback_of_another_connection_changes_nothing(
    make: Callable[[], Life], type_: str, connection_id: str
) -> None:
    """Regression: a forged `CallDisconnected` ended any call whose id was known."""
    assert ignored(make(), of(connection_id, type_), "callConnectionId")


def test_the_case_of_an_id_does_not_matter() -> None:
    life = talking()
    life.record = replace(life.record, connection_id="ABCD-1")
    life.on(of("abcd-1", "CallDisconnected"))
    assert life.at(Status.ENDED)


@pytest.mark.parametrize("form", ["corr", LEG, ""])
def test_the_first_callback_sets_the_correlation_id(form: str) -> None:
    """ACS does not document whether it sends the id of the IncomingCall event, that of the connection, or none."""
    life = answering()
    life.record = replace(life.record, correlation_id="corr")
    life.done(call_commands.Answer, CONNECTION)
    life.on(of(CONNECTION, "CallConnected", form))
    assert life.at(Status.CONNECTED)
    assert life.record.callback_correlation_id == form
    if form:
        assert ignored(life, of(CONNECTION, "CallDisconnected", "another"), "correlationId")
    life.on(of(CONNECTION, "CallDisconnected", form))
    assert life.at(Status.ENDED)


def test_the_first_callback_sets_the_connection_if_it_overtakes_the_answer() -> None:
    life = answering()
    life.on(of(CONNECTION, "CallConnected", LEG))
    assert (life.record.connection_id, life.record.callback_correlation_id) == (CONNECTION, LEG)
    assert ignored(life, of(FOREIGN, "CallDisconnected"), "callConnectionId")
    life.done(call_commands.Answer, CONNECTION)
    assert life.record.callback_correlation_id == LEG


def test_the_answer_overrides_what_a_callback_said() -> None:
    life = answering()
    life.on(of(FOREIGN, "CallConnected", "another"))
    assert life.record.connection_id == FOREIGN
    life.done(call_commands.Answer, CONNECTION)
    assert (life.record.connection_id, life.record.callback_correlation_id) == (CONNECTION, "")
    assert ignored(life, of(FOREIGN, "CallDisconnected", "another"), "callConnectionId")
    life.on(of(CONNECTION, "CallDisconnected", LEG))
    assert life.at(Status.ENDED)


def test_a_hang_up_reaches_our_own_connection_in_the_end() -> None:
    life = answering()
    life.on(HangUp(CALL, "operator", ""))
    life.on(of(FOREIGN, "CallConnected"))
    assert life.done(call_commands.Answer, CONNECTION) == ["SetTimer ending", "HangUp"]
    assert life.record.connection_id == CONNECTION


@pytest.mark.parametrize("status", [Status.DIVERTING, Status.ENDED])
def test_a_call_that_was_never_answered_hangs_up_nothing(status: Status) -> None:
    """Otherwise the callback URL of such a call could be used to hang up any connection."""
    life = ringing(CallPolicy())
    life.on(HangUp(CALL, "operator", ""))
    if status is Status.ENDED:
        life.done(call_commands.Reject)
    assert life.at(status)
    before = life.record
    assert life.on(of(FOREIGN, "CallConnected")) == []
    assert life.record == before
