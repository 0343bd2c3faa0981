"""Names of the instructions of call-control to the relay of a call (`entries.Instruct`, ADR 37 and 44)."""

from __future__ import annotations

from enum import StrEnum


class Instruction(StrEnum):
    """A request to the relay, or information for the agent. Each docstring names the fields of the detail."""

    GOODBYE = "goodbye"
    """Say goodbye and report `GoodbyeOver`. `interruptible`."""
    TIME_LEFT = "time_left"
    """Announce the end of the call. `seconds`."""
    OUTCOME = "outcome"
    """The outcome of an action that the agent requested. `action`, `state`, `reason`, and `target` if there is one."""
    CONNECTING = "connecting"
    """Announce a transfer and report `GoodbyeOver`. `interruptible`."""
    WAITING = "waiting"
    """The caller waits for the target: play the hold tone. `name` of the target."""
    SCREENING = "screening"
    """Introduce the call to the person who answered. `name`, `participant`: raw id of the person."""
    BRIDGED = "bridged"
    """The caller and the person talk: be silent. `name`."""
    RETURNED = "returned"
    """Continue with the caller. `name`, `reason`, `joined`: whether the person had talked with the caller."""
    PEOPLE = "people"
    """The participants have changed. `names` of the others, `caller_on_hold`."""
    TONE = "tone"
    """A person pressed a key. `tone`, `participant`."""
    TONES_REFUSED = "tones_refused"
    """ACS does not report the keys of the person, so a key without a sender may be theirs."""
