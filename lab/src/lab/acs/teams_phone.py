"""Limits of calls whose number belongs to a Teams resource account (ACS docs, "Teams Phone extensibility").

The docs list what is missing, but not the error codes; the simulator uses 400/8585.
"""

from __future__ import annotations

from lab.acs.acs_errors import WrongStateError
from lab.acs.calls import SimulatedCall


def refuse_in_teams(call: SimulatedCall, action: str) -> None:
    """Raises `WrongStateError` if `action` is not available in this call."""
    if call.in_teams:
        raise WrongStateError(f"{action} is not supported in a Teams Phone call.")


def refuse_redirect(call: SimulatedCall) -> None:
    """Raises `WrongStateError` for a call that a person makes on behalf of the resource account."""
    if call.announcement.on_behalf_of_callee is not None:
        raise WrongStateError("Redirect is not supported for an on-behalf-of call; answer it and add the target.")
