"""The routing policy as people write it: ordered rules, each with conditions and one action. docs/routing.md.

A mistake is named with its place, and all of them at once; what was written is not repeated, since it may be a phone
number and the message ends in logs.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Annotated, Any, Final, Literal, TypeAlias, TypeVar, cast

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
    ValidationError,
)
from pydantic import PlainValidator as Plain

from bridge_common.base.errors import InputError
from call_control.core.policy.party_pattern import PartyPattern, decode_pattern
from call_control.core.policy.schedule import DaySpan, HourSpan, decode_days, decode_hours, zone_of
from call_control.core.policy.share import STEPS, steps_of
from call_control.core.policy.targets import raw_id_of

T = TypeVar("T")

MOST_RULES: Final = 256
_MOST_PATTERNS: Final = 1000
MOST_VALUES: Final = 5000
"""Patterns, days and hours of all rules together: a call that rings is compared with each of them."""
MOST_MISTAKES: Final = 100
"""Reported of one policy; a junk text of 64 KiB can have tens of thousands."""
_LONGEST_NAME: Final = 64
RESERVED_NAMES: Final = frozenset({"DEFAULT_PROFILE", "REFUSED_CALLERS", "everyone_to_people"})
"""What a call's record names when no rule decided."""
_ACTIONS: Final = ("agent", "redirect", "reject")
_CONDITIONS: Final = ("called", "caller", "days", "hours")
_PARTIES: Final = ("phone", "acs_user", "teams_user", "teams_app")
_GUID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


class PolicyError(InputError):
    """`mistakes`: each with its place, at most `MOST_MISTAKES`."""

    code = "bad_policy"

    def __init__(self, mistakes: Sequence[str]) -> None:
        shown = [*mistakes[:MOST_MISTAKES]]
        if len(mistakes) > MOST_MISTAKES:
            shown.append(f"and {len(mistakes) - MOST_MISTAKES} more mistakes")
        super().__init__("; ".join(shown))
        self.mistakes = tuple(shown)


def _listed(value: object) -> object:
    """One, several with commas, or a list."""
    return [part.strip() for part in value.split(",")] if isinstance(value, str) else value


def _from_text(decode: Callable[[str], T]) -> Callable[[object], T]:
    """pydantic collects `ValueError`s, not ours."""

    def checked(value: object) -> T:
        if not isinstance(value, str):
            raise ValueError("is no text")
        try:
            return decode(value)
        except InputError as error:
            raise ValueError(error.message) from error

    return checked


def _party(prefix: str, own: re.Pattern[str]) -> Callable[[str], str]:
    def raw_id(text: str) -> str:
        candidate = prefix + text if own.fullmatch(text) else text
        try:
            found = raw_id_of(candidate)
        except InputError:
            found = ""
        if not found.startswith(prefix):
            raise ValueError("is no " + {"4:": "number: + and digits", "8:acs:": "ACS user: 8:acs:…"}.get(prefix, "id"))
        return found

    return raw_id


def _no_flag(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("is no number")
    return value


def _hundredths(value: float) -> float:
    if abs(value * STEPS / 100 - steps_of(value)) > 1e-6:
        raise ValueError("is finer than a hundredth of a percent")
    return value


Text = PlainSerializer(str, return_type=str)
Patterns: TypeAlias = Annotated[
    tuple[Annotated[PartyPattern, Plain(_from_text(decode_pattern)), Text], ...],
    BeforeValidator(_listed),
    Field(max_length=_MOST_PATTERNS),
]
Days: TypeAlias = Annotated[
    tuple[Annotated[DaySpan, Plain(_from_text(decode_days)), Text], ...], BeforeValidator(_listed)
]
Hours: TypeAlias = Annotated[
    tuple[Annotated[HourSpan, Plain(_from_text(decode_hours)), Text], ...], BeforeValidator(_listed)
]
Zone: TypeAlias = Annotated[str, AfterValidator(lambda name: _from_text(zone_of)(name).key)]
Share: TypeAlias = Annotated[float, BeforeValidator(_no_flag), Field(ge=0, le=100), AfterValidator(_hundredths)]
Name: TypeAlias = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._-]{0,63}$")]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class People(_Strict):
    """Exactly one of these, kept as a raw id."""

    phone: Annotated[str, AfterValidator(_party("4:", re.compile(r"\+.*")))] | None = None
    acs_user: Annotated[str, AfterValidator(_party("8:acs:", re.compile(r"(?!)")))] | None = None
    teams_user: Annotated[str, AfterValidator(_party("8:orgid:", _GUID))] | None = None
    teams_app: Annotated[str, AfterValidator(_party("28:orgid:", _GUID))] | None = None

    @property
    def raw_id(self) -> str:
        return self.phone or self.acs_user or self.teams_user or self.teams_app or ""


Redirect: TypeAlias = Annotated[
    Annotated[People, Tag("one")] | Annotated[Literal["people"], Tag("word")],
    Discriminator(lambda value: "word" if isinstance(value, str) else "one"),
]
_WORDS: Final = {
    "extra_forbidden": "there is no such field",
    "missing": "is missing",
    "model_type": "is no mapping",
    "too_short": "needs at least one rule",
    "tuple_type": "is no list",
}
_TAGS: Final = frozenset({"one", "word"})


class Rule(_Strict):
    name: Name
    called: Patterns = ()
    caller: Patterns = ()
    days: Days = ()
    hours: Hours = ()
    time_zone: Zone | None = None
    percent: Share | None = None
    """Of the callers that the conditions fit; the others go on to the next rule."""
    agent: Annotated[str, Field(pattern=r"^[^\s\x00-\x1f][^\x00-\x1f]{0,99}$")] | None = None
    redirect: Redirect | None = None
    reject: Literal["busy", "forbidden"] | None = None


class Policy(_Strict):
    people: People | None = None
    """Who gets everybody under `everyone_to_people`, the calls that no relay can take, and the running calls that have
    lost their voice session for good."""
    everyone_to_people: StrictBool = False
    time_zone: Zone | None = None
    """Of the rules that name none."""
    rules: Annotated[tuple[Rule, ...], Field(min_length=1, max_length=MOST_RULES)]

    @property
    def shares(self) -> tuple[str, ...]:
        """The names of the rules that need a key to tell callers apart."""
        return tuple(rule.name for rule in self.rules if rule.percent is not None and 0 < rule.percent < 100)


def decode_policy(content: object) -> Policy:
    """Raises `PolicyError` that names every mistake."""
    if not isinstance(content, dict):
        raise PolicyError(["a policy is a mapping with `rules`"])
    fields = cast(Mapping[str, object], content)
    _check_size(fields)
    mistakes = list(_across(fields))
    try:
        policy = Policy.model_validate(fields)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False, include_context=False)
        # Rules that are no rules are not counted by pydantic: they are told one by one.
        told = [
            _told(one["loc"], one["type"], one["msg"], fields)
            for one in found
            if one["type"] != "too_short" or not fields.get("rules")
        ]
        raise PolicyError(list(dict.fromkeys(told + mistakes))) from None
    if mistakes:
        raise PolicyError(mistakes)
    return policy


def encode_policy(policy: Policy) -> dict[str, Any]:
    """As it may be written again: without what was left out."""
    return policy.model_dump(mode="json", exclude_defaults=True)


def digest_of(policy: Policy | None) -> str:
    """The same for policies that say the same, however their files are laid out; empty for none."""
    return hashlib.sha256(json.dumps(encode_policy(policy)).encode()).hexdigest()[:16] if policy else ""


def _check_size(fields: Mapping[str, object]) -> None:
    """Before anything else, so that the cost of a junk policy is bounded, too. Raises `PolicyError`."""
    rules = fields.get("rules")
    if not isinstance(rules, list):
        return
    if len(rules) > MOST_RULES:
        raise PolicyError([f"rules: at most {MOST_RULES} rules are allowed, got {len(rules)}"])
    values = sum(_length(rule.get(name)) for rule in rules if isinstance(rule, dict) for name in _CONDITIONS)
    if values > MOST_VALUES:
        raise PolicyError(
            [f"rules: at most {MOST_VALUES} values of {', '.join(_CONDITIONS)} are allowed in all rules, got {values}"]
        )


def _length(value: object) -> int:
    if isinstance(value, str):
        return value.count(",") + 1
    return len(value) if isinstance(value, list) else 0


def _told(loc: tuple[int | str, ...], kind: str, message: str, fields: Mapping[str, object]) -> str:
    return f"{_place(loc, fields)}: {_WORDS.get(kind, message.removeprefix('Value error, '))}"


def _place(loc: Sequence[int | str], fields: Mapping[str, object]) -> str:
    """`rules[2] (main-line).hours[0]`."""
    place = ""
    for index, part in enumerate(loc):
        if isinstance(part, int):
            place += f"[{part}]" + (_named(fields, part) if index == 1 and loc[0] == "rules" else "")
        elif part not in _TAGS:
            place += f".{_shown(part)}" if place else _shown(part)
    return place


def _named(fields: Mapping[str, object], index: int) -> str:
    rules = fields.get("rules")
    rule = rules[index] if isinstance(rules, list) and index < len(rules) else None
    name = rule.get("name") if isinstance(rule, dict) else None
    return f" ({_shown(name)})" if isinstance(name, str) and name else ""


def _shown(name: str) -> str:
    """A name that was not checked, as replies and logs may contain it: short, without control characters and without
    lone surrogates, which cannot be encoded.
    """
    return "".join(character if character.isprintable() else "?" for character in name[:_LONGEST_NAME])


# -- mistakes between fields: looked for in what was written, so that they are told together with those of single fields
def _across(fields: Mapping[str, object]) -> Iterator[str]:
    yield from _one_party(fields.get("people"), "people")
    rules = fields.get("rules")
    if not isinstance(rules, list):
        return
    names: set[object] = set()
    takes_all = ""
    for index, rule in enumerate(rules):
        if not isinstance(rule, dict):
            continue
        place = _place(("rules", index), fields)
        yield from _within(cast(Mapping[str, object], rule), place, fields)
        name = rule.get("name")
        if isinstance(name, str):
            if name in names:
                yield f"{place}.name: another rule has it"
            if name in RESERVED_NAMES:
                yield f"{place}.name: has a meaning of its own"
            names.add(name)
        if takes_all:
            yield f"{place}: is never reached, {takes_all} takes every call"
        elif _takes_every_call(rule, if_unreadable=rule is rules[-1]):
            takes_all = place
    if rules and not takes_all:
        yield (
            f"{_place(('rules', len(rules) - 1), fields)}: the last rule has to take every call that is left: "
            "no called, caller, days, hours or percent"
        )


def _within(rule: Mapping[str, object], place: str, fields: Mapping[str, object]) -> Iterator[str]:
    if sum(rule.get(action) is not None for action in _ACTIONS) != 1:
        yield f"{place}: needs exactly one of {', '.join(_ACTIONS)}"
    if (rule.get("days") or rule.get("hours")) and not (rule.get("time_zone") or fields.get("time_zone")):
        yield f"{place}.time_zone: is missing; days and hours need one, here or for the whole policy"
    redirect = rule.get("redirect")
    if redirect == "people" and not fields.get("people"):
        yield f"{place}.redirect: the policy does not say who `people` are"
    yield from _one_party(redirect, f"{place}.redirect")


def _one_party(value: object, place: str) -> Iterator[str]:
    if isinstance(value, dict) and sum(value.get(party) is not None for party in _PARTIES) != 1:
        yield f"{place}: needs exactly one of {', '.join(_PARTIES)}"


def _takes_every_call(rule: Mapping[str, object], *, if_unreadable: bool) -> bool:
    """`if_unreadable`: what to say of a share that is no number, which is a mistake told elsewhere."""
    percent = rule.get("percent")
    whole = percent is None
    if isinstance(percent, str | int | float):
        try:
            whole = float(percent) == 100
        except (ValueError, OverflowError):
            whole = if_unreadable
    elif percent is not None:
        whole = if_unreadable
    return whole and not any(rule.get(condition) for condition in _CONDITIONS)
