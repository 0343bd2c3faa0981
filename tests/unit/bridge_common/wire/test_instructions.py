"""Names of instructions: the relay must know every step of a transfer."""

from __future__ import annotations

from agent_relay.core.dialog.transfer_course import Step
from bridge_common.wire.instructions import Instruction

NOT_STORED = {Step.ENDING}
"""Steps that only the relay knows."""


def test_the_steps_of_a_transfer_are_instructions_in_their_order() -> None:
    steps = [step.value for step in Step if step not in NOT_STORED]
    assert steps == [one.value for one in Instruction if one.value in steps]


def test_a_stored_name_is_plain_text() -> None:
    assert str(Instruction.TIME_LEFT) == "time_left"
