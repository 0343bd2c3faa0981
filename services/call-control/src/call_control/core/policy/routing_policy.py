"""The routing policy: ordered rules, each with conditions and one action. See docs/routing.md."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final, Literal, TypeAlias, TypeVar

from pydantic import (
    AfterValidator,
    BeforeValidator,
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
from call_control.core.policy.parties import PartyPattern, decode_pattern
from call_control.core.policy.schedule import DaySpan, HourSpan, decode_days, decode_hours, zone_of
from call_control.core.policy.target_fields import (
    Name,
    NamedTarget,
    ResourceAccount,
    StrictModel,
    Target,
    TargetName,
    decode_called,
    not_boolean,
)

T = TypeVar("T")

MOST_RULES: Final = 256
MOST_NAMES: Final = 256
"""Limit for targets, and for resource accounts."""
_MOST_PATTERNS: Final = 1000
_MOST_AGENTS: Final = 16
_MOST_CALLS: Final = 100_000
MOST_WAIT_S: Final = 20
"""Longest `wait` of a rule: a phone rings for about 30 s, and the agent needs a part of it."""
HUMAN_AGENTS: Final = "human_agents"
OLD_NAMES: Final = {"people": HUMAN_AGENTS, "everyone_to_people": "kill_switch"}
"""Old names, accepted until 0.2.0. The stored policy has them too: replicas of the previous release read the same key
during a rolling update."""
_AGENT_NAME: Final = r"[^\s\x00-\x1f][^\x00-\x1f]{0,99}"


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


def _as_list(value: object) -> object:
    return [value] if isinstance(value, Mapping) else _split(value)


def _country(value: object) -> object:
    if value is False:
        raise ValueError('must be a string; YAML reads NO as false, so write "NO" in quotes')
    return value


def _whole(shares: dict[str, float]) -> dict[str, float]:
    if abs(sum(shares.values()) - 100) > 1e-6:
        raise ValueError("the shares must add up to 100 %")
    return shares


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
CalledPatterns: TypeAlias = Annotated[
    tuple[Annotated[PartyPattern, Plain(_from_text(decode_called)), _AsText], ...],
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
Share: TypeAlias = Annotated[float, BeforeValidator(not_boolean), Field(ge=0, le=100), AfterValidator(_hundredths)]
Redirect: TypeAlias = Annotated[
    Annotated[Target, Tag("<target>")] | Annotated[TargetName, Tag("<word>")],
    Discriminator(lambda value: "<word>" if isinstance(value, str) else "<target>"),
]


class Calendar(StrictModel):
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


class Rule(StrictModel):
    name: Name
    called: CalledPatterns = ()
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
    max_calls: Annotated[int, BeforeValidator(not_boolean), Field(ge=1, le=_MOST_CALLS)] | None = None
    """Maximum calls at the same time that this rule sent to its agent; further calls continue with the next rule."""
    wait: Annotated[float, BeforeValidator(not_boolean), Field(ge=1, le=MOST_WAIT_S)] | None = None
    """Seconds for which a call rings until the agent can take it; then it continues with the next rule."""

    @property
    def has_share(self) -> bool:
        """Callers are distributed, so ROUTING_KEY is needed."""
        shares = [*(() if self.percent is None else (self.percent,)), *(self.agents or {}).values()]
        return any(0 < share < 100 for share in shares)

    @property
    def holiday_dates(self) -> list[HolidayDate | PublicHolidays]:
        return [one.days if isinstance(one, Calendar) else one for one in self.holidays]


class Policy(StrictModel):
    human_agents: Target | None = None
    """Receive all calls while the kill switch is on, calls that no relay could accept, and running calls whose voice
    session cannot be restored."""
    kill_switch: StrictBool = False
    time_zone: Zone | None = None
    """For rules without a time zone."""
    targets: Annotated[dict[Name, NamedTarget], Field(max_length=MOST_NAMES)] = Field(default_factory=dict)
    """Parties that agents and operators may call into a call or transfer it to, by name."""
    resource_accounts: Annotated[dict[Name, ResourceAccount], Field(max_length=MOST_NAMES)] = Field(
        default_factory=dict
    )
    """Teams resource accounts that bring calls, by name."""
    on_behalf: Literal["connect", "reject"] = "reject"
    """Treatment of calls that a Teams user makes through our resource."""
    rules: Annotated[tuple[Rule, ...], Field(min_length=1, max_length=MOST_RULES)]

    def target_of(self, redirect: Target | str | None) -> str:
        """Return the raw id of a redirect target, empty if there is none."""
        if isinstance(redirect, Target):
            return redirect.raw_id
        named = self.human_agents if redirect == HUMAN_AGENTS else self.targets.get(redirect or "")
        return named.raw_id if named is not None else ""

    def account_of(self, party: str) -> tuple[str, ResourceAccount] | None:
        """Return name and resource account for a raw id, a number or the name; upper and lower case are equal."""
        wanted = party.strip().lower().removeprefix("4:")
        accounts = self.resource_accounts.items()
        return next(((name, one) for name, one in accounts if wanted in (name.lower(), *one.ids)), None)

    def names_of(self, callee: str) -> tuple[str, ...]:
        """Return what patterns of `called` are compared with: the raw id and, for a resource account, whose number the
        event does not contain, also its number and its name.
        """
        found = self.account_of(callee)
        return (callee,) if found is None else (callee, *found[1].ids, found[0])

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
