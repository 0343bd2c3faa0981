"""The routing policy: ordered rules, each with conditions and one action. See docs/routing.md."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final, Literal, TypeAlias, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    PlainSerializer,
    StrictBool,
    Tag,
    model_validator,
)
from pydantic import PlainValidator as Plain

from bridge_common.base.errors import InputError
from bridge_common.base.fault_texts import YAML_BOOLEAN, matching
from call_control.core.policy.call_headers import HeaderPattern, decode_header_name, decode_header_pattern
from call_control.core.policy.holiday_dates import (
    HolidayDate,
    PublicHolidays,
    decode_date,
    decode_public_holidays,
)
from call_control.core.policy.parties import PartyPattern, decode_pattern, raw_id_of
from call_control.core.policy.schedule import DaySpan, HourSpan, decode_days, decode_hours, zone_of

T = TypeVar("T")

MOST_RULES: Final = 256
_MOST_PATTERNS: Final = 1000
_MOST_AGENTS: Final = 16
_MOST_CALLS: Final = 100_000
MOST_WAIT_S: Final = 20
"""Longest `wait` of a rule: a phone rings for about 30 s, and the agent needs a part of it."""
HUMAN_AGENTS: Final = "human_agents"
OLD_NAMES: Final = {"people": HUMAN_AGENTS, "everyone_to_people": "kill_switch"}
"""Old names, accepted until 0.2.0. The stored policy has them too: replicas of the previous release read the same key
during a rolling update."""
_GUID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_NAME: Final = r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,63}"
_AGENT_NAME: Final = r"[^\s\x00-\x1f][^\x00-\x1f]{0,99}"
_NEVER: Final = re.compile(r"(?!)")


# -- fields: pydantic collects `ValueError`, not `InputError`
def _split(value: object) -> object:
    """Split a list that is written as one string with commas; return other values unchanged."""
    return [part.strip() for part in value.split(",")] if isinstance(value, str) else value


def _as_texts(value: object) -> object:
    """Not split at commas, which may be part of a header's value."""
    return [value] if isinstance(value, str) else value


def _from_text(decode: Callable[[str], T]) -> Callable[[object], T]:
    def checked(value: object) -> T:
        if not isinstance(value, str):
            raise ValueError("must be a string" + (YAML_BOOLEAN if isinstance(value, bool) else ""))
        try:
            return decode(value)
        except InputError as error:
            raise ValueError(error.message) from error

    return checked


def _party(prefix: str, without_prefix: re.Pattern[str], fault: str) -> Callable[[str], str]:
    """Return a converter to raw ids. `without_prefix`: pattern of the texts to which `prefix` is added."""

    def raw_id(text: str) -> str:
        try:
            found = raw_id_of(prefix + text if without_prefix.fullmatch(text) else text)
        except InputError:
            found = ""
        if not found.startswith(prefix):
            raise ValueError(fault)
        return found

    return raw_id


def _as_list(value: object) -> object:
    return [value] if isinstance(value, Mapping) else _split(value)


def _country(value: object) -> object:
    if value is False:
        raise ValueError('must be text; YAML reads NO as false, so write "NO" in quotes')
    return value


def _whole(shares: dict[str, float]) -> dict[str, float]:
    if abs(sum(shares.values()) - 100) > 1e-6:
        raise ValueError("the shares must add up to 100 %")
    return shares


def _not_boolean(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("must be a number")
    return value


def _hundredths(value: float) -> float:
    if abs(value * 100 - round(value * 100)) > 1e-6:
        raise ValueError("has more than two decimal places; round it to hundredths of a percent")
    return value


_AsText = PlainSerializer(str, return_type=str)
Patterns: TypeAlias = Annotated[
    tuple[Annotated[PartyPattern, Plain(_from_text(decode_pattern)), _AsText], ...],
    BeforeValidator(_split),
    Field(max_length=_MOST_PATTERNS),
]
Days: TypeAlias = Annotated[
    tuple[Annotated[DaySpan, Plain(_from_text(decode_days)), _AsText], ...], BeforeValidator(_split)
]
Hours: TypeAlias = Annotated[
    tuple[Annotated[HourSpan, Plain(_from_text(decode_hours)), _AsText], ...], BeforeValidator(_split)
]
Zone: TypeAlias = Annotated[str, AfterValidator(lambda name: _from_text(zone_of)(name).key)]
Share: TypeAlias = Annotated[float, BeforeValidator(_not_boolean), Field(ge=0, le=100), AfterValidator(_hundredths)]
Name: TypeAlias = Annotated[
    str,
    AfterValidator(
        matching(
            _NAME,
            "must begin with a letter or a digit, and consist of up to 64 letters (A to Z, a to z), digits, spaces, "
            "., _ and -",
        )
    ),
    Field(json_schema_extra={"pattern": f"^{_NAME}$"}),
]
Phone: TypeAlias = Annotated[
    str, AfterValidator(_party("4:", re.compile(r"\+.*"), "is not a phone number; write + and digits"))
]
AcsUser: TypeAlias = Annotated[str, AfterValidator(_party("8:acs:", _NEVER, "is not an ACS user; write 8:acs:…"))]
TeamsUser: TypeAlias = Annotated[
    str, AfterValidator(_party("8:orgid:", _GUID, "is not a Teams user; write the object id or 8:orgid:…"))
]
TeamsApp: TypeAlias = Annotated[
    str, AfterValidator(_party("28:orgid:", _GUID, "is not a Teams app; write the object id or 28:orgid:…"))
]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Target(_Strict):
    """Redirect target: exactly one of the fields is set, as a raw id."""

    phone: Phone | None = None
    acs_user: AcsUser | None = None
    teams_user: TeamsUser | None = None
    teams_app: TeamsApp | None = None

    @property
    def raw_id(self) -> str:
        return self.phone or self.acs_user or self.teams_user or self.teams_app or ""


Redirect: TypeAlias = Annotated[
    Annotated[Target, Tag("<target>")] | Annotated[Literal["human_agents"], Tag("<word>")],
    Discriminator(lambda value: "<word>" if isinstance(value, str) else "<target>"),
]


class Calendar(_Strict):
    """Public holidays."""

    country: Annotated[str, BeforeValidator(_country)]
    subdivision: str = ""

    @model_validator(mode="after")
    def _known(self) -> Calendar:
        try:
            decode_public_holidays(self.country, self.subdivision)
        except InputError as error:
            raise ValueError(error.message) from error
        return self

    @property
    def days(self) -> PublicHolidays:
        return PublicHolidays(self.country, self.subdivision)


Holiday: TypeAlias = Annotated[
    Annotated[Calendar, Tag("<calendar>")]
    | Annotated[HolidayDate, Plain(_from_text(decode_date)), _AsText, Tag("<date>")],
    Discriminator(lambda value: "<calendar>" if isinstance(value, Mapping | Calendar) else "<date>"),
]
Holidays: TypeAlias = Annotated[tuple[Holiday, ...], BeforeValidator(_as_list)]
HeaderPatterns: TypeAlias = Annotated[
    tuple[Annotated[HeaderPattern, Plain(_from_text(decode_header_pattern)), _AsText], ...],
    BeforeValidator(_as_texts),
    Field(min_length=1),
]
HeaderName: TypeAlias = Annotated[str, AfterValidator(_from_text(decode_header_name))]
AgentName: TypeAlias = Annotated[
    str,
    AfterValidator(
        matching(
            _AGENT_NAME,
            "must be the name of an agent profile: 1 to 100 characters without control characters, no space at the "
            "beginning",
        )
    ),
    Field(json_schema_extra={"pattern": f"^{_AGENT_NAME}$"}),
]


class Rule(_Strict):
    name: Name
    called: Patterns = ()
    caller: Patterns = ()
    header: Annotated[dict[HeaderName, HeaderPatterns], Field(max_length=16)] = Field(default_factory=dict)
    """Values by name of a SIP or VoIP header; all of them must match."""
    days: Days = ()
    hours: Hours = ()
    holidays: Holidays = ()
    time_zone: Zone | None = None
    percent: Share | None = None
    """Share of the callers that match all other conditions; the others continue with the next rule."""
    agent: AgentName | None = None
    agents: (
        Annotated[dict[AgentName, Share], Field(min_length=1, max_length=_MOST_AGENTS), AfterValidator(_whole)] | None
    ) = None
    """Share of each agent profile, 100 % in total."""
    redirect: Redirect | None = None
    reject: Literal["busy", "forbidden"] | None = None
    max_calls: Annotated[int, BeforeValidator(_not_boolean), Field(ge=1, le=_MOST_CALLS)] | None = None
    """Maximum calls at the same time that this rule sent to its agent; further calls continue with the next rule."""
    wait: Annotated[float, BeforeValidator(_not_boolean), Field(ge=1, le=MOST_WAIT_S)] | None = None
    """Seconds for which a call rings until the agent can take it; then it continues with the next rule."""

    @property
    def has_share(self) -> bool:
        """Callers are distributed, so ROUTING_KEY is needed."""
        shares = [*(() if self.percent is None else (self.percent,)), *(self.agents or {}).values()]
        return any(0 < share < 100 for share in shares)

    @property
    def holiday_dates(self) -> list[HolidayDate | PublicHolidays]:
        return [one.days if isinstance(one, Calendar) else one for one in self.holidays]


class Policy(_Strict):
    human_agents: Target | None = None
    """Receive all calls while the kill switch is on, calls that no relay could accept, and running calls whose voice
    session cannot be restored."""
    kill_switch: StrictBool = False
    time_zone: Zone | None = None
    """For rules without a time zone."""
    rules: Annotated[tuple[Rule, ...], Field(min_length=1, max_length=MOST_RULES)]

    @property
    def shares(self) -> tuple[str, ...]:
        """Names of the rules with shares (`percent`, `agents`), which need ROUTING_KEY."""
        return tuple(rule.name for rule in self.rules if rule.has_share)


def switched(policy: Policy | None, profile: str, *, on: bool) -> Policy:
    """Set the kill switch of the policy. Without a policy, create one that routes every call to `profile`."""
    if policy is None:
        policy = Policy(rules=(Rule(name="all-calls", agent=profile),))
    return policy.model_copy(update={"kill_switch": on})


def encode_policy(policy: Policy) -> dict[str, Any]:
    """Encode the policy in the form that operators write, without defaults."""
    return policy.model_dump(mode="json", exclude_defaults=True)


def encode_stored_policy(policy: Policy) -> dict[str, Any]:
    """Encode the policy for Redis: like `encode_policy`, with the names in `OLD_NAMES`."""
    old = {new: name for name, new in OLD_NAMES.items()}
    stored = {old.get(name, name): value for name, value in encode_policy(policy).items()}
    for rule in stored["rules"]:
        if rule.get("redirect") == HUMAN_AGENTS:
            rule["redirect"] = old[HUMAN_AGENTS]
    return stored


def digest_of(policy: Policy | None) -> str:
    """Return a digest of the content, independent of layout; empty for `None`. All releases must compute the same."""
    return hashlib.sha256(json.dumps(encode_stored_policy(policy)).encode()).hexdigest()[:16] if policy else ""
