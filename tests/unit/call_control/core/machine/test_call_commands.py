from __future__ import annotations

from bridge_common.wire.call_record import CallRecord, PendingCommand, Status, decode_record, encode_record
from call_control.core.machine.call_commands import Answer, End, Redirect, SetTimer, of_pending, to_pending


def test_commands_survive_the_record() -> None:
    commands = (
        Answer(seq=1, cause="1-0"),
        Redirect(seq=2, cause="1-0", target="8:acs:é"),
        End(seq=3, cause="2-0", reason="no_voice"),
        SetTimer(seq=1, cause="2-0", name="media", due_ms=5, last=True, operation="Answer-1", lost_epoch=2**53),
    )
    record = CallRecord(call_id="c", status=Status.RINGING, pending=tuple(to_pending(c) for c in commands))
    stored = {name.encode(): value.encode() for name, value in encode_record(record).items()}
    assert tuple(of_pending(item) for item in decode_record(stored).pending) == commands


def test_a_command_of_a_newer_version_is_left_alone() -> None:
    assert of_pending(PendingCommand(1, "Sing", "{}")) is None
    assert of_pending(PendingCommand(1, "Answer", '{"cause": "1-0", "loudly": true}')) is None
    assert of_pending(PendingCommand(1, "Answer", "{")) is None


def test_the_operation_context_names_the_command() -> None:
    assert Answer(seq=7, cause="1-0").operation_context == "Answer-7"
