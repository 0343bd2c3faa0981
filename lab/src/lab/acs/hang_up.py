"""Result codes of `CallDisconnected` when the caller hangs up. Pure.

Sources: ACS docs, "Call end codes", and recorded callbacks. For phone callers the code reports the SIP response of
their leg (560000 for outbound, 540000 for inbound calls); for users it depends on the client and the kind of call.
"""

from __future__ import annotations

from typing import Final

from pydantic import BaseModel, ConfigDict, Field

from lab.acs.party_identifiers import Identifier

PHONE_SUB_CODES: Final = (560000, 540000)
USER_SUB_CODES: Final = (5002, 5001, 5007, 5010, 5020, 18503, 4097, 4521)
"""In this order: all others left; ended for everyone; the initiator left; one participant remains; only hidden
participants remain; in a call of two: the other left; the other ended the call; the other lost its connection.
"""


class HangUpForm(BaseModel):
    """The result information of `CallDisconnected`."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True, frozen=True)
    code: int = 200
    sub_code: int = Field(validation_alias="subCode")

    @property
    def message(self) -> str:
        return f"The conversation has ended. DiagCode: 0#{self.sub_code}.@"


def usual_hang_up(caller: Identifier) -> HangUpForm:
    return HangUpForm(sub_code=(PHONE_SUB_CODES if caller.number is not None else USER_SUB_CODES)[0])
