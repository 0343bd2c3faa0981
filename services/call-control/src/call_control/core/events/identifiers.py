"""Communication identifiers in ACS events: reads the raw id of a party from every form of identifier.

Source: `CommunicationIdentifierModel` and `identifier_from_raw_id` of azure-communication-callautomation 1.6.
"""

from __future__ import annotations

from typing import Final

from call_control.core.events.json_fields import MAX_ID_LENGTH, Node, as_text

ANONYMOUS_PHONE: Final = "4:anonymous"
_CLOUDS: Final = {"dod": "dod", "gcch": "gcch"}
"""Cloud part of a Teams raw id; all other clouds use `orgid`."""


def raw_id_in(event: Node, name: str) -> str:
    """Return the raw id of the party in the field `name`; empty if the field identifies no party."""
    found = event.values.get(name)
    if isinstance(found, str):
        return _phone(found) if found.startswith("+") else as_text(found)[:MAX_ID_LENGTH]
    party = event.part(name)
    raw_id = party.plain_text("rawId", limit=MAX_ID_LENGTH)
    return raw_id or _from_parts(party)[:MAX_ID_LENGTH]


def is_present(event: Node, name: str) -> bool:
    """Return whether the field has a value, even in an unknown form. null, `{}` and "" count as absent."""
    return bool(event.values.get(name))


def _from_parts(party: Node) -> str:
    number = party.part("phoneNumber")
    if value := number.plain_text("value") or party.plain_text("phoneNumber"):
        return _phone(value)
    if number.values.get("isAnonymous") is True:
        return ANONYMOUS_PHONE
    if acs_user := party.part("communicationUser").plain_text("id"):
        return acs_user
    user, app = party.part("microsoftTeamsUser"), party.part("microsoftTeamsApp")
    if user_id := user.plain_text("userId"):
        return f"8:teamsvisitor:{user_id}" if user.values.get("isAnonymous") is True else f"8:{_cloud(user)}:{user_id}"
    if app_id := app.plain_text("appId"):
        return f"28:{_cloud(app)}:{app_id}"
    extension = party.part("teamsExtensionUser")
    parts = [extension.plain_text(name) for name in ("resourceId", "tenantId", "userId")]
    prefix = {"dod": "8:dod-acs:", "gcch": "8:gcch-acs:"}.get(_cloud(extension), "8:acs:")
    return f"{prefix}{'_'.join(parts)}" if all(parts) else ""


def _phone(number: str) -> str:
    return number if number.startswith("4:") else f"4:{number}"


def _cloud(identity: Node) -> str:
    return _CLOUDS.get(identity.plain_text("cloud").lower(), "orgid")
