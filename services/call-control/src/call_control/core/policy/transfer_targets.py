"""Targets of transfers and invitations, which the routing policy names (docs/routing.md)."""

from __future__ import annotations

from dataclasses import dataclass

from bridge_common.wire.action_kinds import ATTENDED

STAY = "stay"
LEAVE = "leave"
TRANSFER = "transfer"
RETURN = "return"
HANG_UP = "hang_up"


@dataclass(frozen=True, slots=True)
class TransferTarget:
    name: str
    raw_id: str
    mode: str = ATTENDED
    """Mode of a transfer that does not state one: `attended` or `blind`."""
    ring_s: int = 30
    """Ringing time of an attended transfer or an invitation."""
    after_join: str = STAY
    """When the person has taken an attended transfer: `stay` in the call, `leave` it, or `transfer` the caller to the
    person.
    """
    when_person_leaves: str = RETURN
    """Whether the agent continues with the caller (`return`) or the call is hung up (`hang_up`)."""
