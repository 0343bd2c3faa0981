"""Validation errors of pydantic as messages for operators: the field, the fault and what is allowed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, get_args

from pydantic import BaseModel

_LONGEST_PART: Final = 64
_WORDS: Final = {
    "missing": "is not set",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "int_type": "must be an integer",
    "int_parsing": "must be an integer",
    "int_parsing_size": "must be an integer with fewer digits",
    "int_from_float": "must be an integer",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "string_type": "must be a string (in YAML: in quotes)",
    "string_sub_type": "must be a string",
    "string_unicode": "must be valid Unicode",
    "string_too_short": "must not be empty",
    "string_too_long": "must have {max_length} characters or fewer",
    "string_pattern_mismatch": "must match the pattern {pattern}",
    "path_type": "must be a path",
    "literal_error": "must be {expected}",
    "enum": "must be {expected}",
    "greater_than": "must be above {gt}",
    "greater_than_equal": "must be {ge} or more",
    "less_than": "must be below {lt}",
    "less_than_equal": "must be {le} or less",
    "dict_type": "must be a mapping (key: value)",
    "mapping_type": "must be a mapping (key: value)",
    "model_type": "must be a mapping (key: value)",
    "model_attributes_type": "must be a mapping (key: value)",
    "invalid_key": "must be a string; put it in quotes",
    "list_type": "must be a list",
    "tuple_type": "must be a list",
    "too_short": "must have {min_length} or more entries",
    "too_long": "must have {max_length} entries or fewer",
    "timezone_aware": "has no time zone; write it as 2026-11-30T09:00:00Z or 2026-11-30T09:00:00+01:00",
    **dict.fromkeys(
        ("datetime_type", "datetime_parsing", "datetime_from_date_parsing", "datetime_object_invalid"),
        "must be a time with its time zone, such as 2026-11-30T09:00:00Z",
    ),
    "extra_forbidden": "is unknown",
}
_LIMITS: Final = frozenset({"greater_than_equal", "less_than_equal"})
YAML_BOOLEAN: Final = "; YAML reads no, yes, on and off as true or false: put the word in quotes"
_WORD_TYPES: Final = frozenset({"string_type", "literal_error", "tuple_type"})


def in_words(
    problem: Mapping[str, Any], words: Mapping[str, str] | None = None, model: type[BaseModel] | None = None
) -> str:
    """Return a message for one of `ValidationError.errors()`, without the value, which may be a secret. `words`: other
    messages, by error type. `model`: the validated model; with it, both limits of a number are named.
    """
    if model is not None and problem["type"] in _LIMITS and (limits := _range(model, problem["loc"])):
        return "must be between {} and {}".format(*map(_plain, limits))
    text = (_WORDS | dict(words or {})).get(problem["type"])
    if text is None:
        return str(problem["msg"]).removeprefix("Value error, ")
    context = problem.get("ctx") or {}
    message = text.format_map({name: _plain(value) for name, value in context.items()})
    is_word = problem["type"] in _WORD_TYPES and isinstance(problem.get("input"), bool)
    return message.removesuffix(" (in YAML: in quotes)") + YAML_BOOLEAN if is_word else message


def _plain(value: object) -> object:
    """Format an integer without decimals: 1 for 1.0."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def unknown_field(name: object, known: Sequence[str]) -> str:
    """Return the message for a field that does not exist."""
    message = f"is unknown; known fields are {', '.join(known)}"
    if isinstance(name, str) and " " in name:
        message += "; if it is part of a string, put the whole string in quotes"
    return message


def matching(pattern: str, words: str) -> Callable[[str], str]:
    """Return a validator of strings. `words`: the message for a string that the pattern does not match completely."""
    compiled = re.compile(pattern)

    def checked(value: str) -> str:
        if not compiled.fullmatch(value):
            raise ValueError(words)
        return value

    return checked


def location(loc: Sequence[int | str], content: object = None) -> str:
    """Return the location of an error, such as `sales.tools[0] (order_status).url`, without tags of unions (`<text>`).
    `content`: the unchecked values, for the names of list entries.
    """
    text = ""
    for part in loc:
        if isinstance(part, int):
            content = content[part] if isinstance(content, list) and part < len(content) else None
            text += f"[{part}]{_name_of(content)}"
        elif part == "[key]":
            text += " (name)"
        elif not (part.startswith("<") and part.endswith(">")):
            content = content.get(part) if isinstance(content, dict) else None
            text += f".{printable(part)}" if text else printable(part)
    return text


def _name_of(entry: object) -> str:
    for field in ("name", "label"):
        name = entry.get(field) if isinstance(entry, dict) else None
        if isinstance(name, str) and name:
            return f" ({printable(name)})"
    return ""


def printable(name: str) -> str:
    """Shorten an unchecked name, and remove control characters and lone surrogates, which cannot be encoded."""
    return "".join(character if character.isprintable() else "?" for character in name[:_LONGEST_PART])


def known_fields(model: type[BaseModel], loc: Sequence[int | str]) -> list[str]:
    """Return the fields at this location. Indexes of lists and keys of mappings do not change the level."""
    return list(_level(model, loc)[0].model_fields)


def _level(model: type[BaseModel], loc: Sequence[int | str]) -> list[type[BaseModel]]:
    level = [model]
    for part in loc:
        field = next((one.model_fields[part] for one in level if part in one.model_fields), None)
        level = (list(_models(field.annotation)) if field is not None and isinstance(part, str) else []) or level
    return level


def _range(model: type[BaseModel], loc: Sequence[int | str]) -> tuple[object, object] | None:
    """Return the inclusive limits of the number at this location, None unless it has exactly one of each."""
    at = max((index for index, part in enumerate(loc) if isinstance(part, str)), default=0)
    fields = (one.model_fields.get(str(part)) for part in loc[at::-1] for one in _level(model, loc[:at]))
    field = next((field for field in fields if field is not None), None)
    found = [] if field is None else list(_limits((field.annotation, *field.metadata)))
    least, most = ([getattr(one, name) for one in found if hasattr(one, name)] for name in ("ge", "le"))
    return (least[0], most[0]) if len(least) == len(most) == 1 else None


def _limits(annotations: Iterable[object]) -> Iterator[object]:
    """Yield the limits in an annotation such as `Annotated[int, Field(ge=1, le=5)] | None`."""
    for one in annotations:
        if hasattr(one, "ge") or hasattr(one, "le"):
            yield one
        yield from _limits((*get_args(one), *getattr(one, "metadata", ())))


def _models(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models(argument)
