"""The progress of the transfers of one call: the current step, and whether a reported step is new (ADR 44)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum

from agent_relay.core.dialog.instruction_detail import detail_of, text_in
from agent_relay.core.dialog.transfer_texts import NO_RETURN, returned_text
from bridge_common.wire.instructions import Instruction


class Step(StrEnum):
    """The steps in their order. A transfer may skip some, but never goes back."""

    CONNECTING = Instruction.CONNECTING
    WAITING = Instruction.WAITING
    SCREENING = Instruction.SCREENING
    BRIDGED = Instruction.BRIDGED
    RETURNED = Instruction.RETURNED
    ENDING = "ending"
    """The call is hung up during the transfer: the agent speaks only the goodbye."""

    @property
    def rests(self) -> bool:
        """Whether the agent has nothing to do, because the caller waits for a person or talks with one."""
        return self in (Step.WAITING, Step.SCREENING, Step.BRIDGED, Step.ENDING)


_ORDER = list(Step)


@dataclass(frozen=True, slots=True)
class TransferState:
    action_id: str
    step: Step
    target: str = ""
    """Name of the target; "" if unknown."""
    topic: str = ""
    reason: str = ""
    """Why the caller is back, with the step `RETURNED`."""
    joined: bool = False
    """Whether the person had talked with the caller."""
    person: str = ""
    """Raw id of the person who has answered; "" if unknown."""

    @property
    def text(self) -> str:
        """The message to the agent when the caller is back; "" if it need not speak about it."""
        returned = self.step is Step.RETURNED and self.reason not in NO_RETURN
        return returned_text(self.target, self.reason, joined=self.joined) if returned else ""

    def notice(self, step: str = "") -> str:
        """Return the detail of the transcript notice. `step`: another step than the current one."""
        found: dict[str, object] = {"id": self.action_id, "step": step or self.step.value, "target": self.target}
        found |= {"reason": self.reason} if self.reason else {}
        found |= {"joined": True} if self.joined else {}
        return json.dumps(found)


def decode_transfer(notice: str) -> TransferState | None:
    """Return the transfer in the detail of a transcript notice; None if the detail is not the step of one."""
    detail = detail_of(notice)
    step = text_in(detail, "step")
    if step not in _ORDER:
        return None
    joined = detail.get("joined") is True
    target, reason = text_in(detail, "target"), text_in(detail, "reason")
    return TransferState(text_in(detail, "id"), Step(step), target, reason=reason, joined=joined)


class TransferCourse:
    def __init__(self, pending: TransferState | None = None) -> None:
        self.current = pending
        """The latest transfer."""
        self._over: set[str] = set()

    @property
    def step(self) -> Step | None:
        return None if self.current is None else self.current.step

    @property
    def rests(self) -> bool:
        return self.current is not None and self.current.step.rests

    def of(self, action_id: str) -> TransferState | None:
        """Return the latest transfer if it is this one."""
        return self.current if self.current is not None and self.current.action_id == action_id else None

    def is_new(self, action_id: str, step: Step) -> bool:
        """Return whether a transfer reaches this step only now, also if steps before it were not reported."""
        if action_id in self._over or self.step is Step.ENDING:
            return False
        known = self.of(action_id)
        return known is None or _ORDER.index(step) > _ORDER.index(known.step)

    def enter(self, transfer: TransferState) -> None:
        """Set the current step. No other code changes it."""
        if self.current is not None and self.current.action_id != transfer.action_id:
            self._over.add(self.current.action_id)
        self.current = transfer
