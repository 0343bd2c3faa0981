"""Communication identifiers of the parties of a call, in the JSON form of ACS."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lab.acs.acs_errors import InvalidArgumentError

Json = dict[str, object]


@dataclass(frozen=True, slots=True)
class Identifier:
    """A party, identified by its raw id: `4:+E164` for a phone, `8:acs:…` for an ACS user, `28:…` and `8:orgid:…` for
    Teams.
    """

    raw_id: str

    @classmethod
    def phone(cls, number: str) -> Identifier:
        return cls(f"4:{number}")

    @classmethod
    def of(cls, name: str) -> Identifier:
        """Return the identifier of a phone number (`+…`) or raw id."""
        return cls(name) if ":" in name else cls.phone(name)

    @property
    def in_teams(self) -> bool:
        """Whether this is a Teams user, a Teams resource account, or a Teams user of a custom client."""
        user = self.raw_id.startswith("8:acs:") and self.raw_id.count("_") == 2
        return user or self.raw_id.startswith(("8:orgid:", "28:orgid:"))

    @property
    def number(self) -> str | None:
        return self.raw_id[2:] if self.raw_id.startswith("4:") else None

    def json(self) -> Json:
        if self.number is not None:
            hidden = {"isAnonymous": True} if self.number == "anonymous" else {}
            return {"kind": "phoneNumber", "rawId": self.raw_id, "phoneNumber": {"value": self.number, **hidden}}
        if self.raw_id.startswith("8:orgid:"):
            user = {"userId": self.raw_id.removeprefix("8:orgid:"), "isAnonymous": False, "cloud": "public"}
            return {"kind": "microsoftTeamsUser", "rawId": self.raw_id, "microsoftTeamsUser": user}
        if self.raw_id.startswith("28:orgid:"):
            app = {"appId": self.raw_id.removeprefix("28:orgid:"), "cloud": "public"}
            return {"kind": "microsoftTeamsApp", "rawId": self.raw_id, "microsoftTeamsApp": app}
        if self.raw_id.startswith("8:acs:") and self.raw_id.count("_") == 2:
            names = ("resourceId", "tenantId", "userId")
            user = dict(zip(names, self.raw_id.removeprefix("8:acs:").split("_"), strict=True))
            return {
                "kind": "teamsExtensionUser",
                "rawId": self.raw_id,
                "teamsExtensionUser": user | {"cloud": "public"},
            }
        if self.raw_id.startswith("8:"):
            return {"kind": "communicationUser", "rawId": self.raw_id, "communicationUser": {"id": self.raw_id}}
        return {"kind": "unknown", "rawId": self.raw_id}


def decode_identifier(value: object, field: str) -> Identifier:
    """Decode an identifier of a request. Requests contain `rawId` and no `kind`; a phone number or user id without
    `rawId` is accepted too.
    """
    if isinstance(value, Mapping):
        raw_id = value.get("rawId")
        if isinstance(raw_id, str) and raw_id:
            return Identifier(raw_id)
        phone, user = value.get("phoneNumber"), value.get("communicationUser")
        if isinstance(phone, Mapping) and isinstance(number := phone.get("value"), str) and number:
            return Identifier.phone(number)
        if isinstance(user, Mapping) and isinstance(user_id := user.get("id"), str) and user_id:
            return Identifier(user_id)
    raise InvalidArgumentError(f"The field {field} must be a communication identifier.")
