"""Settings of the simulators: read from the environment into frozen dataclasses, and listed for `--help`."""

from __future__ import annotations

import ast
import inspect
import os
import textwrap
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields
from itertools import pairwise
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

S = TypeVar("S", bound="DataclassInstance")
NOT_FROM_ENVIRONMENT: Final = {"from_environment": False}
"""Metadata of a field that no variable sets."""
_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})


def read_settings(settings: type[S], environment: Mapping[str, str] | None = None) -> S:
    """Each field from the variable of the same name in capitals, with the type of its default.

    Raises `ValueError` that names every variable with a value of the wrong type.
    """
    environment = os.environ if environment is None else environment
    values: dict[str, str | int | float | bool] = {}
    wrong: list[str] = []
    for setting in _variables(settings):
        given = environment.get(setting.name.upper())
        if given is None or setting.default is MISSING:
            continue
        try:
            values[setting.name] = _like(setting.default, given)
        except ValueError as error:
            wrong.append(f"{setting.name.upper()} must be {error}, not {given!r}")
    if wrong:
        raise ValueError("; ".join(wrong))
    return settings(**values)


def _variables(settings: type[DataclassInstance]) -> list[Field[object]]:
    return [setting for setting in fields(settings) if setting.metadata.get("from_environment", True)]


def _like(default: object, given: str) -> str | int | float | bool:
    if isinstance(default, bool):
        if given.lower() not in _TRUE | _FALSE:
            raise ValueError("true or false")
        return given.lower() in _TRUE
    if isinstance(default, int):
        return _number(int, given, "a whole number")
    return _number(float, given, "a number") if isinstance(default, float) else given


def _number(kind: type[int] | type[float], given: str, wanted: str) -> int | float:
    try:
        return kind(given)
    except ValueError:
        raise ValueError(wanted) from None


def settings_help(settings: type[DataclassInstance]) -> str:
    """Every setting with its default and the docstring below its field, for the end of a `--help`."""
    about = _field_docs(settings)
    lines = ["settings, read from the environment:"]
    for setting in _variables(settings):
        lines.append(f"  {setting.name.upper()}={_shown(setting.default)}")
        if text := about.get(setting.name):
            lines.append(textwrap.fill(text, 100, initial_indent="      ", subsequent_indent="      "))
    return "\n".join(lines)


def _shown(default: object) -> str:
    if isinstance(default, bool):
        return str(default).lower()
    return "" if default is MISSING else str(default)


def _field_docs(settings: type[DataclassInstance]) -> dict[str, str]:
    """The docstrings below the fields. They exist only in the source: a class does not keep them."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(settings)))
    body = tree.body[0].body if isinstance(tree.body[0], ast.ClassDef) else []
    found: dict[str, str] = {}
    for field, below in pairwise(body):
        if (
            isinstance(field, ast.AnnAssign)
            and isinstance(field.target, ast.Name)
            and isinstance(below, ast.Expr)
            and isinstance(below.value, ast.Constant)
            and isinstance(below.value.value, str)
        ):
            found[field.target.id] = " ".join(below.value.value.split())
    return found
