"""Settings of the simulators: read from the environment into frozen dataclasses, and listed for `--help`."""

from __future__ import annotations

import ast
import inspect
import os
import textwrap
from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, fields
from itertools import pairwise
from typing import Annotated, Any, Final, Literal, Self

import pydantic
from pydantic import BeforeValidator, TypeAdapter, ValidationError

from lab.yaml_mistakes import fault_text

NOT_FROM_ENVIRONMENT: Final = {"from_environment": False}
"""Metadata of a field that no environment variable can set."""

AnyCase: Final = BeforeValidator(str.lower)
"""Annotation of a `Literal` of lower-case strings: the value may be in upper or lower case."""
NonNegative = Annotated[float, pydantic.Field(ge=0, lt=1e9)]
Seconds = NonNegative
Count = Annotated[int, pydantic.Field(ge=0)]
Port = Annotated[int, pydantic.Field(ge=0, le=65_535)]
LogLevel = Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], BeforeValidator(str.upper)]


@dataclass(frozen=True)
class SimulatorSettings:
    """Base class of settings. Every field has a default; the environment variable of the same name in capitals
    sets it.
    """

    log_level: LogLevel = "INFO"

    @classmethod
    def from_env(cls, environment: Mapping[str, str] | None = None) -> Self:
        """Read the settings from the environment. An empty variable counts as unset. Raises `ValueError` that lists
        every invalid value.
        """
        environment = os.environ if environment is None else environment
        given = {one.name: environment.get(one.name.upper()) for one in _variables(cls)}
        try:
            return TypeAdapter(cls).validate_python({name: value for name, value in given.items() if value})
        except ValidationError as error:
            raise ValueError("; ".join(map(_explained, error.errors(include_url=False)))) from error


def _explained(problem: Any) -> str:
    """Return the error text of one setting. The value is included unless a validator of the settings rejected it,
    because then it may be a key.
    """
    got = "" if problem["type"] == "value_error" else f", got {problem['input']!r}"
    return f"{str(problem['loc'][0]).upper()} {fault_text(problem)}{got}"


def _variables(settings: type[SimulatorSettings]) -> list[Field[object]]:
    return [setting for setting in fields(settings) if setting.metadata.get("from_environment", True)]


def settings_help(settings: type[SimulatorSettings]) -> str:
    """List each setting with its default and the docstring of its field, for the end of `--help`."""
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


def _field_docs(settings: type[SimulatorSettings]) -> dict[str, str]:
    """Return the docstrings of the fields, from the source: Python does not store them in the class."""
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
