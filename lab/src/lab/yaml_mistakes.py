"""Readable errors for invalid YAML files and JSON bodies, with the line and the allowed keys."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias, get_args

import yaml
from pydantic import BaseModel, ValidationError

Place: TypeAlias = tuple[int | str, ...]
"""Path of a value: keys, and indexes that start at 0."""
_QUOTES: Final = "strings that contain a colon or start with one of *&!%@` need quotes"
_QUOTES_IN_BRACKETS: Final = (
    'inside {} and [], strings that contain one of ? : , [ ] { } # need quotes, for example {text: "How can I help?"}'
)
_TEXTS: Final = {
    "missing": "is missing",
    "string_type": 'must be a string; put it in quotes ("1", "+14255550100")',
    "string_pattern_mismatch": "has an invalid format; expected {hint}",
    "int_type": "must be an integer",
    "int_parsing": "must be an integer",
    "int_from_float": "must be an integer",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "bool_parsing": "must be true or false",
    "greater_than": "must be above {gt:g}",
    "greater_than_equal": "must be {ge:g} or more",
    "less_than": "must be below {lt:g}",
    "less_than_equal": "must be {le:g} or less",
    "literal_error": "must be {expected}",
    "model_type": "must be a mapping (key: value)",
    "model_attributes_type": "must be a mapping (key: value)",
    "dict_type": "must be a mapping (key: value)",
    "tuple_type": "must be a list (lines that start with -)",
}
"""Error text by pydantic's error type; for other types the text of pydantic is used."""


def syntax_mistake(error: yaml.YAMLError, text: str) -> str:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    problem = getattr(error, "problem", None) or " ".join(str(error).split())
    if mark is None:
        return str(problem)
    # At the end of the text, PyYAML reports a line that does not exist.
    line = min(mark.line + 1, max(len(text.splitlines()), 1))
    opened = getattr(error, "context_mark", None)
    context = str(getattr(error, "context", None) or "")
    if opened is not None and "quoted scalar" in context:
        return f"{_position(opened)}: the quote that opens here is not closed: {problem} (line {line})"
    where = _position(mark) if line == mark.line + 1 else f"line {line}, at the end of the file"
    since = f", {context} that starts in line {opened.line + 1}" if opened is not None and context else ""
    return f"{where}: {problem}{since} ({_QUOTES_IN_BRACKETS if ' flow ' in context else _QUOTES})"


def _position(mark: yaml.Mark) -> str:
    return f"line {mark.line + 1}, column {mark.column + 1}"


def repeated_keys(node: yaml.Node | None) -> Iterator[str]:
    """Yield an error for each repeated key; YAML silently uses the last one."""
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if key.value in seen:
                yield f"line {key.start_mark.line + 1}: repeated key `{key.value}`; remove one of them"
            seen.add(key.value)
            yield from repeated_keys(value)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from repeated_keys(item)


def explain(
    error: ValidationError,
    model: type[BaseModel],
    node: yaml.Node | None,
    hints: Mapping[str, str],
    *,
    below: Place = (),
) -> list[str]:
    """Return a line for each error. `hints`: the expected format of a string, by field. `below`: path of the model in
    the document.
    """
    return [_explained(problem, model, node, hints, below) for problem in error.errors(include_url=False)]


def located(node: yaml.Node | None, place: Place, text: str) -> str:
    """Return a line for one error at a place, such as `line 3: `caller.to` is missing`."""
    line = f"line {_line_of(node, place)}: " if node is not None else ""
    return f"{line}{f'`{path_of(place)}` ' if place else ''}{text}"


def _explained(
    problem: Any, model: type[BaseModel], node: yaml.Node | None, hints: Mapping[str, str], below: Place
) -> str:
    inner = tuple(problem["loc"])
    *outer, last = place = (*below, *inner) or ("",)
    line = f"line {_line_of(node, place)}: " if node is not None else ""
    within = f" in `{path_of(outer)}`" if outer else ""
    if problem["type"] == "extra_forbidden":
        allowed = ", ".join(one.alias or name for name, one in _model_at(model, inner[:-1]).model_fields.items())
        comma = "; a string with a comma inside {} needs quotes" if problem["input"] is None else ""
        return f"{line}unknown key `{last}`{within}; allowed: {allowed}{comma}"
    if last == "[key]":
        # The error of a mapping's key: pydantic appends this to the path, which ends with the key itself.
        *outer, last = outer
        within = f" in `{path_of(outer)}`" if outer else ""
        return f"{line}unknown key `{last}`{within}; it {fault_text(problem)}"
    return located(node, below + inner, fault_text(problem, hints.get(str(last), "")))


def fault_text(problem: Any, hint: str = "") -> str:
    """Return the text of one error. `problem`: an entry of `ValidationError.errors()`."""
    text = _TEXTS.get(problem["type"])
    if text is None or ("{hint}" in text and not hint):
        return str(problem["msg"]).removeprefix("Value error, ")
    return text.format_map({**problem.get("ctx", {}), "hint": hint})


def path_of(place: Sequence[int | str]) -> str:
    """Return a path such as `caller.steps[2].say`; indexes start at 0, as in the routing policy."""
    path = ""
    for part in place:
        path += f"[{part}]" if isinstance(part, int) else f".{part}"
    return path.removeprefix(".")


def _line_of(node: yaml.Node | None, loc: Sequence[int | str]) -> int:
    """Return the line of the innermost existing node of the path; for a mapping entry the line of its key."""
    line = node.start_mark.line if node is not None else 0
    for part in loc:
        if isinstance(node, yaml.MappingNode):
            found = next(((key, value) for key, value in node.value if key.value == str(part)), None)
            if found is None:
                break
            line, node = found[0].start_mark.line, found[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line
        else:
            break
    return int(line) + 1


def _model_at(model: type[BaseModel], loc: Sequence[int | str]) -> type[BaseModel]:
    for part in loc:
        found = (field for name, field in model.model_fields.items() if part in (name, field.alias))
        if (field := next(found, None)) is not None:
            model = _model_in(field.annotation) or model
    return model


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """Return the model in an annotation such as `tuple[Step, ...]` or `Reply | None`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for one in get_args(annotation) if (found := _model_in(one)) is not None), None)
