"""Decodes a routing policy from YAML or JSON, and reports all its errors together.

An error text starts with its location. It does not contain the value, which may be a phone number, because the texts
are logged.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, cast

import yaml
from pydantic import ValidationError

from bridge_common.base.errors import InputError
from bridge_common.base.fault_texts import in_words, known_fields, location, unknown_field
from bridge_common.base.yaml_faults import yaml_fault
from call_control.core.policy.plain_yaml import PlainYaml
from call_control.core.policy.routing_policy import HUMAN_AGENTS, MOST_RULES, OLD_NAMES, Policy, Rule
from call_control.core.policy.target_faults import rule_faults, target_faults

MAX_BYTES: Final = 64 * 1024
MOST_VALUES: Final = 5000
"""Maximum patterns, days and hours in all rules together: each incoming call is compared with all of them."""
MOST_MISTAKES: Final = 100
"""Maximum reported errors; 64 KiB of arbitrary text can have tens of thousands."""
RESERVED_NAMES: Final = frozenset({"DEFAULT_PROFILE", "REFUSED_CALLERS", "on_behalf", *OLD_NAMES.values(), *OLD_NAMES})
"""Names that rules must not have: in a call record they show that a setting decided."""
_ACTIONS: Final = ("agent", "agents", "redirect", "reject")
_CONDITIONS: Final = ("called", "caller", "header", "days", "hours", "holidays")
_WORDS: Final = {"missing": "is missing", "too_short": "needs at least one"}


class PolicyError(InputError):
    """A routing policy is invalid. `mistakes`: the errors with their locations, limited to `MOST_MISTAKES`."""

    code = "bad_policy"

    def __init__(self, mistakes: Sequence[str]) -> None:
        shown = [*mistakes[:MOST_MISTAKES]]
        if len(mistakes) > MOST_MISTAKES:
            shown.append(f"and {len(mistakes) - MOST_MISTAKES} more errors")
        super().__init__("; ".join(shown))
        self.mistakes = tuple(shown)


def policy_of_text(text: bytes, *, as_json: bool = False) -> Policy:
    """Decode a policy from its text. Raises `PolicyError` with all errors, or with the line of a syntax error."""
    if len(text) > MAX_BYTES:
        raise PolicyError([f"the text has more than {MAX_BYTES} bytes"])
    return decode_policy(_from_json(text) if as_json else _from_yaml(text))


def decode_policy(content: object, *, reserved: frozenset[str] = RESERVED_NAMES) -> Policy:
    """Decode a policy from plain values. `reserved`: names that rules must not have.

    Raises `PolicyError` with all errors.
    """
    if not isinstance(content, dict):
        raise PolicyError(["a policy must be a mapping with `rules`"])
    written = cast(Mapping[str, object], content)
    _check_size(written)
    fields = _with_new_names(written)
    mistakes = [
        f"{old}: is the old name of {new}, which is set as well; remove it"
        for old, new in OLD_NAMES.items()
        if old in written and new in written
    ]
    mistakes += _across(fields, reserved)
    try:
        policy = Policy.model_validate(fields)
    except ValidationError as error:
        found = error.errors(include_url=False)
        # pydantic does not count invalid rules, but each of them is reported.
        of_fields = [
            f"{location(one['loc'], fields)}: {_words(dict(one))}"
            for one in found
            if one["type"] != "too_short" or one["loc"] != ("rules",) or not fields.get("rules")
        ]
        raise PolicyError(list(dict.fromkeys(of_fields + mistakes))) from None
    if mistakes:
        raise PolicyError(mistakes)
    return policy


def _words(problem: Mapping[str, Any]) -> str:
    if problem["type"] != "extra_forbidden":
        return in_words(problem, _WORDS, Policy)
    *place, name = problem["loc"]
    return unknown_field(name, known_fields(Policy, place))


def _from_yaml(text: bytes) -> object:
    try:
        return PlainYaml(text.decode()).value()
    except UnicodeDecodeError as error:
        raise PolicyError(["the text is not valid UTF-8; save it as UTF-8"]) from error
    except (yaml.YAMLError, RecursionError, ValueError, OverflowError) as error:
        # The last two: the scanner passes the number of an escape such as "\UFFFFFFFF" to chr().
        raise PolicyError([yaml_fault(error)]) from error


def _from_json(text: bytes) -> object:
    try:
        found: object = json.loads(text, object_pairs_hook=_unique)
    except json.JSONDecodeError as error:
        raise PolicyError([f"line {error.lineno}, column {error.colno}: {error.msg}"]) from error
    except (ValueError, RecursionError) as error:
        raise PolicyError(["the text is not valid JSON in UTF-8"]) from error
    return found


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise PolicyError([f"field {twice[:40]!r} occurs twice; remove one of them"])
    return found


def _with_new_names(written: Mapping[str, object]) -> dict[str, object]:
    fields = {OLD_NAMES.get(name, name): value for name, value in written.items()}
    rules = fields.get("rules")
    if isinstance(rules, list):
        fields["rules"] = [
            {**rule, "redirect": HUMAN_AGENTS} if isinstance(rule, dict) and rule.get("redirect") == "people" else rule
            for rule in rules
        ]
    return fields


def _check_size(fields: Mapping[str, object]) -> None:
    """Check the limits of the policy, before all other checks, because this limits their cost. Raises `PolicyError`."""
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
    if isinstance(value, dict):
        return sum(len(one) if isinstance(one, list) else 1 for one in value.values())
    return len(value) if isinstance(value, list) else 0


# -- conflicts between fields: found in the unchecked content, so that they are reported with the errors of fields
def _across(fields: Mapping[str, object], reserved: frozenset[str]) -> Iterator[str]:
    yield from target_faults(fields)
    rules = fields.get("rules")
    if not isinstance(rules, list):
        return
    names: set[object] = set()
    takes_all = ""
    for index, rule in enumerate(rules):
        if not isinstance(rule, dict):
            continue
        where = location(("rules", index), fields)
        yield from _within(cast(Mapping[str, object], rule), where, fields)
        name = rule.get("name")
        if isinstance(name, str):
            if name in names:
                yield f"{where}.name: another rule has this name; rename one of them"
            if name in reserved:
                yield f"{where}.name: is a reserved name; choose another"
            names.add(name)
        if takes_all:
            yield f"{where}: can never match, because {takes_all} takes every call; move it up or remove it"
        elif _takes_every_call(rule, if_unreadable=rule is rules[-1]):
            takes_all = where
    if rules and not takes_all:
        yield (
            f"{location(('rules', len(rules) - 1), fields)}: the last rule must take every remaining call; "
            f"remove its {', '.join(_CONDITIONS)}, percent and max_calls"
        )


def _within(rule: Mapping[str, object], where: str, fields: Mapping[str, object]) -> Iterator[str]:
    if sum(rule.get(action) is not None for action in _ACTIONS) != 1:
        yield f"{where}: must have exactly one of {', '.join(_ACTIONS)}"
    if rule.get("agent") is None and rule.get("agents") is None:
        for name in ("max_calls", "wait"):
            if rule.get(name) is not None:
                yield f"{where}.{name}: only calls to an agent can be limited or wait; remove it"
    timed = rule.get("days") or rule.get("hours") or rule.get("holidays")
    if timed and not (rule.get("time_zone") or fields.get("time_zone")):
        yield f"{where}.time_zone: is missing; days, hours and holidays need one, here or for the whole policy"
    yield from rule_faults(rule, where, fields)


def _takes_every_call(rule: Mapping[str, object], *, if_unreadable: bool) -> bool:
    """Return whether the rule takes every call. `if_unreadable`: the result for a rule with an unknown field, or with a
    share that is not a number. Both are reported elsewhere.
    """
    if not rule.keys() <= Rule.model_fields.keys():
        return if_unreadable  # the unknown field may be a misspelled condition
    percent = rule.get("percent")
    whole = percent is None
    if isinstance(percent, str | int | float):
        try:
            whole = float(percent) == 100
        except (ValueError, OverflowError):
            whole = if_unreadable
    elif percent is not None:
        whole = if_unreadable
    unlimited = rule.get("max_calls") is None
    return whole and unlimited and not any(rule.get(condition) for condition in _CONDITIONS)
