"""Contents of a call's `IncomingCall` event (ACS docs, "Incoming call concepts")."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from lab.acs.party_identifiers import Identifier, Json

CallerForm = Literal["full", "no_raw_id", "no_ids", "absent"]


class CustomContext(BaseModel):
    """SIP and VoIP headers of the call, by name."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True, frozen=True)
    sip_headers: dict[str, str] | None = Field(default=None, alias="sipHeaders")
    voip_headers: dict[str, str] | None = Field(default=None, alias="voipHeaders")


class IncomingCallEventData(BaseModel):
    """Contents of the event that a test can choose. Fields are accepted under their names in the event as well.
    `custom_context` and `on_behalf_of_callee` are sent unchanged, the latter is any JSON; if they are not set, the
    event does not contain them.
    """

    model_config = ConfigDict(extra="forbid", populate_by_name=True, frozen=True)
    display_name: str | None = Field(default="", alias="displayName")
    custom_context: CustomContext | None = Field(default=None, alias="customContext")
    on_behalf_of_callee: object = Field(default=None, alias="onBehalfOfCallee")
    caller_form: CallerForm = Field(default="full", alias="callerForm")
    """Format of `from` in the event. `no_ids`: an unknown party; `absent`: the event has no `from`."""

    def data(self, caller: Identifier, callee: Identifier) -> Json:
        """Return `from`, `to` and the chosen fields. The number of a Teams resource account is not in the event."""
        account = callee.raw_id.startswith("28:orgid:")
        to: Json = {"kind": "unknown", "rawId": callee.raw_id} if account else callee.json()
        about: Json = {"to": to, "callerDisplayName": self.display_name}
        if self.caller_form != "absent":
            about["from"] = self._caller(caller)
        given = self.model_dump(include={"custom_context", "on_behalf_of_callee"}, by_alias=True, exclude_unset=True)
        return about | given

    def _caller(self, caller: Identifier) -> Json:
        if self.caller_form == "no_ids":
            return {"kind": "unknown"}
        full = caller.json()
        return full if self.caller_form == "full" else {name: full[name] for name in full if name != "rawId"}
