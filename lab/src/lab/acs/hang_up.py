"""The result codes of `CallDisconnected` when the caller hangs up. Pure.

Sources: ACS docs, "Call end codes", and real callbacks. Phone callers end with the SIP answer of their leg (560000 when
we dialled, 540000 when they did); for users the code depends on their client and on the kind of call.
"""

from __future__ import annotations

from typing import Final

from pydantic import BaseModel, ConfigDict, Field

from lab.acs.party_identifiers import Identifier

PHONE_SUB_CODES: Final = (560000, 540000)
USER_SUB_CODES: Final = (5002, 5001, 5007, 5010, 5020, 18503, 4097, 4521)
"""In this order: all others left; ended for everyone; the initiator left; one is left; only hidden ones are left; in a
call of two: the other left; the other ended it; the other vanished.
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
