"""Conflicts between the targets and resource accounts of a routing policy and its rules.

They are found in the unchecked content, so that they are reported together with the faults of fields. A text starts
with its location, and contains no value, which may be a phone number.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from bridge_common.base.fault_texts import location, printable
from bridge_common.wire.action_kinds import CALLER
from call_control.core.policy.parties import ANONYMOUS
from call_control.core.policy.routing_policy import HUMAN_AGENTS, OLD_NAMES
from call_control.core.policy.target_fields import PARTIES, is_name

TARGETS: Final = "targets"
ACCOUNTS: Final = "resource_accounts"
_RESERVED: Final[Mapping[str, frozenset[str]]] = {
    TARGETS: frozenset({CALLER, HUMAN_AGENTS, *OLD_NAMES}),
    ACCOUNTS: frozenset({ANONYMOUS}),
}
_UNIQUE: Final = ("teams_app", "number")
_MOST_SHOWN: Final = 20
"""Limit for the known names in a text."""


def target_faults(fields: Mapping[str, object]) -> Iterator[str]:
    yield from one_party(fields.get(HUMAN_AGENTS), HUMAN_AGENTS)
    for name, value in _entries(fields, TARGETS):
        yield from one_party(value, location((TARGETS, name), fields))
    for group, reserved in _RESERVED.items():
        for name, _ in _entries(fields, group):
            if name.lower() in reserved:
                yield f"{location((group, name), fields)}: is a reserved name; choose another"
    yield from _repeated_accounts(fields)


def rule_faults(rule: Mapping[str, object], where: str, fields: Mapping[str, object]) -> Iterator[str]:
    """Faults of one rule at `where`: unknown targets and resource accounts."""
    redirect, targets = rule.get("redirect"), [name for name, _ in _entries(fields, TARGETS)]
    if redirect == HUMAN_AGENTS and not fields.get(HUMAN_AGENTS):
        yield f"{where}.redirect: the policy has no {HUMAN_AGENTS}; add them, or redirect to a target"
    elif isinstance(redirect, str) and redirect not in (HUMAN_AGENTS, *targets):
        known = _shown([HUMAN_AGENTS, *targets])
        yield f"{where}.redirect: is not the name of a target; use {known}, or {{phone: +…}}"
    yield from one_party(redirect, f"{where}.redirect")
    called = rule.get("called")
    accounts = [name for name, _ in _entries(fields, ACCOUNTS)]
    for index, text in enumerate(called.split(",") if isinstance(called, str) else _list(called)):
        if isinstance(text, str) and _is_unknown_account(text.strip(), accounts):
            known = _shown(accounts) or "none"
            yield (
                f"{where}.called[{index}]: is neither a pattern nor the name of a resource account; write + and "
                f"digits, a raw id (4:…, 8:…, 28:…), or add the name to {ACCOUNTS}; known names are {known}"
            )


def one_party(value: object, where: str) -> Iterator[str]:
    if isinstance(value, dict) and sum(value.get(party) is not None for party in PARTIES) != 1:
        yield f"{where}: must have exactly one of {', '.join(PARTIES)}"


def _is_unknown_account(text: str, accounts: list[str]) -> bool:
    return is_name(text) and text != ANONYMOUS and text.lower() not in {name.lower() for name in accounts}


def _repeated_accounts(fields: Mapping[str, object]) -> Iterator[str]:
    """Report accounts with a name, an id or a number that another account has: rules could not distinguish them."""
    names: set[str] = set()
    seen: dict[tuple[str, str], str] = {}
    for name, account in _entries(fields, ACCOUNTS):
        if name.lower() in names:
            yield f"{location((ACCOUNTS, name), fields)}: another name differs only in upper and lower case; rename it"
        names.add(name.lower())
        for field in _UNIQUE:
            value = account.get(field) if isinstance(account, dict) else None
            if not isinstance(value, str):
                continue
            key = (field, value.strip().lower().removeprefix("4:").removeprefix("28:orgid:"))
            if key in seen:
                yield f"{location((ACCOUNTS, name, field), fields)}: {seen[key]} has the same value; remove one of them"
            seen.setdefault(key, location((ACCOUNTS, name), fields))


def _shown(names: list[str]) -> str:
    return ", ".join(printable(name) for name in names[:_MOST_SHOWN])


def _entries(fields: Mapping[str, object], group: str) -> list[tuple[str, object]]:
    found = fields.get(group)
    return [(name, value) for name, value in found.items() if isinstance(name, str)] if isinstance(found, dict) else []


def _list(value: object) -> list[object]:
    return list(value) if isinstance(value, list) else []
