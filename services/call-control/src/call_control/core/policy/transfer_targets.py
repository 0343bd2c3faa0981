"""Targets of transfers and invitations, which the routing policy names (docs/routing.md)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from bridge_common.wire import action_kinds

STAY = "stay"
LEAVE = "leave"
TRANSFER = "transfer"
RETURN = "return"
HANG_UP = "hang_up"
_WITH_TARGET: Final = (action_kinds.TRANSFER, action_kinds.ADD_PARTICIPANT)
_MOST_SHOWN: Final = 50


@dataclass(frozen=True, slots=True)
class TransferTarget:
    name: str
    raw_id: str
    mode: str = action_kinds.ATTENDED
    """Mode of a transfer that does not state one: `attended` or `blind`."""
    ring_s: int = 30
    """Ringing time of an attended transfer or an invitation."""
    after_join: str = STAY
    """When the person has taken an attended transfer: `stay` in the call, `leave` it, or `transfer` the caller to the
    person.
    """
    when_person_leaves: str = RETURN
    """Whether the agent continues with the caller (`return`) or the call is hung up (`hang_up`)."""


def unknown_target(
    action: str, arguments: Mapping[str, object], known: Collection[str], allowed: Collection[str] = ()
) -> str:
    """Return the fault in the target of an action with valid arguments, "" if there is none.

    `known`: names of the targets in the policy in force. `allowed`: names that the agent profile of the call allows;
    empty: all. The text contains names only, no numbers.
    """
    name = arguments.get("target")
    if action not in _WITH_TARGET:
        return ""
    usable = [one for one in known if not allowed or one in allowed]
    if name in usable:
        return ""
    if not usable:
        return f"the routing policy has no targets{' that this call may use' if known else ''}"
    fault = "this call may not use the" if name in known else "the routing policy has no"
    return f"{fault} target {name!r}; the targets are {', '.join(usable[:_MOST_SHOWN])}"
