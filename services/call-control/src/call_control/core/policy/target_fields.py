"""Fields of the routing policy that name parties: redirect targets, targets of transfers, Teams resource accounts."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Final, Literal, TypeAlias

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from bridge_common.base.errors import InputError
from bridge_common.base.fault_texts import matching
from call_control.core.policy.parties import (
    ACS_USERS,
    TEAMS_APPS,
    TEAMS_USERS,
    PartyPattern,
    decode_pattern,
    raw_id_of,
)
from call_control.core.policy.transfer_targets import TransferTarget

NAME_PATTERN: Final = r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,63}"
_GUID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_NEVER: Final = re.compile(r"(?!)")


# -- fields: pydantic collects `ValueError`, not `InputError`
def _party(prefixes: tuple[str, ...], without_prefix: re.Pattern[str], fault: str) -> Callable[[str], str]:
    """Return a converter to raw ids. `without_prefix`: pattern of the texts to which the first prefix is added."""

    def raw_id(text: str) -> str:
        try:
            found = raw_id_of(prefixes[0] + text if without_prefix.fullmatch(text) else text)
        except InputError:
            found = ""
        if not found.startswith(prefixes):
            raise ValueError(fault)
        return found

    return raw_id


def not_boolean(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("must be a number")
    return value


def is_name(text: str) -> bool:
    return re.fullmatch(NAME_PATTERN, text) is not None


def decode_called(text: str) -> PartyPattern:
    """Decode a pattern of called parties, or the name of a resource account. Raises `InputError`."""
    name = text.strip()
    return PartyPattern(name) if is_name(name) else decode_pattern(text)


Name: TypeAlias = Annotated[
    str,
    AfterValidator(
        matching(
            NAME_PATTERN,
            "must begin with a letter or a digit, and consist of up to 64 letters (A to Z, a to z), digits, spaces, "
            "., _ and -",
        )
    ),
    Field(json_schema_extra={"pattern": f"^{NAME_PATTERN}$"}),
]
TargetName: TypeAlias = Annotated[str, Field(json_schema_extra={"pattern": f"^{NAME_PATTERN}$"})]
"""`human_agents`, or the name of a target: other texts are reported as unknown targets."""
Phone: TypeAlias = Annotated[
    str, AfterValidator(_party(("4:",), re.compile(r"\+.*"), "is not a phone number; write + and digits"))
]
AcsUser: TypeAlias = Annotated[str, AfterValidator(_party(ACS_USERS, _NEVER, "is not an ACS user; write 8:acs:…"))]
TeamsUser: TypeAlias = Annotated[
    str, AfterValidator(_party(TEAMS_USERS, _GUID, "is not a Teams user; write the object id or 8:orgid:…"))
]
TeamsApp: TypeAlias = Annotated[
    str, AfterValidator(_party(TEAMS_APPS, _GUID, "is not a Teams app; write the object id or 28:orgid:…"))
]


class StrictModel(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Target(StrictModel):
    """Redirect target: exactly one of the fields is set, as a raw id."""

    phone: Phone | None = None
    acs_user: AcsUser | None = None
    """Also a Teams user of a custom client: `8:acs:<resource>_<tenant>_<user>`."""
    teams_user: TeamsUser | None = None
    teams_app: TeamsApp | None = None
    """Resource account of a call queue, an auto attendant or an application."""

    @property
    def raw_id(self) -> str:
        return self.phone or self.acs_user or self.teams_user or self.teams_app or ""


PARTIES: Final = tuple(Target.model_fields)


class NamedTarget(Target):
    """Target of transfers and invitations."""

    transfer: Literal["attended", "blind"] = "attended"
    ring_s: Annotated[int, BeforeValidator(not_boolean), Field(ge=5, le=120)] = 30
    after_join: Literal["stay", "leave", "transfer"] = "stay"
    when_person_leaves: Literal["return", "hang_up"] = "return"

    def named(self, name: str) -> TransferTarget:
        return TransferTarget(name, self.raw_id, self.transfer, self.ring_s, self.after_join, self.when_person_leaves)


class ResourceAccount(StrictModel):
    """A Teams resource account whose calls arrive at this ACS resource."""

    teams_app: TeamsApp
    number: Phone | None = None
    """Its phone number: events of ACS have only the object id."""

    @property
    def ids(self) -> tuple[str, ...]:
        """Raw id and number (`+…`), in lower case."""
        return (self.teams_app.lower(), *((self.number.removeprefix("4:"),) if self.number else ()))
