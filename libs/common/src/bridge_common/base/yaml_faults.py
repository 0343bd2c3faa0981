"""Syntax errors of PyYAML as messages with the line, the fault and the remedy."""

from __future__ import annotations

import re
from typing import Any, Final

_QUOTES: Final = 'put the whole string in quotes ("…")'
_FAULTS: Final[tuple[tuple[str, str], ...]] = (
    (
        r"expected ',' or '[}\]]', but got '(?:<stream end>|<document start>|<document end>|<block.*)'",
        "the bracket that opens in line {opened} is not closed",
    ),
    (
        r"expected ',' or '[}\]]', but got '(\?|:)'",
        "`{0}` has a meaning of its own between brackets, which open in line {opened}; " + _QUOTES + ", or close the "
        "bracket",
    ),
    (r"expected ',' or '[}\]]', but got '[}\]]'", "the bracket that opens in line {opened} is closed by another one"),
    (
        r"expected ',' or '[}\]]', but got '(.*)'",
        "a comma is missing between the brackets; add it, or, if this is one string, " + _QUOTES,
    ),
    (
        r"mapping values are not allowed.*",
        "a colon followed by a space begins a value; if it is part of a string, " + _QUOTES + ", otherwise check the "
        "indentation",
    ),
    (r"found character '\\t' that cannot start any token", "the line contains a tab; indent with spaces"),
    (r"found character '(.)' that cannot start any token", "a string must not begin with `{0}`; " + _QUOTES),
    (r"found undefined alias '(.*)'", "`*{0}` refers to a value that does not exist; if it is a string, " + _QUOTES),
    (
        r"expected (?:<block end>|the node content|'<document start>'), but found .*|but found another document",
        "the line does not continue the lines before it; check its indentation, its commas and its quotes",
    ),
    (
        r"could not find expected ':'",
        "line {opened} is not a field (`name: value`); check its indentation, or " + _QUOTES,
    ),
    (
        r"found unexpected (?:end of stream|document separator)",
        "the quote that opens in line {opened} is not closed",
    ),
    (r"found unknown escape character '?(.*?)'?", "`\\{0}` is not a valid escape; use single quotes"),
    (
        r"could not determine a constructor for the tag .*",
        "tags (!name) are not allowed; if it is a string, " + _QUOTES,
    ),
    (r"second occurrence", "another value has the same anchor (&name); rename one of them"),
    (
        r"expected (?:chomping or indentation indicators|a comment or a line break), but found .*",
        "a string after `|` or `>` begins in the next line, indented",
    ),
)


def yaml_fault(error: Exception) -> str:
    """Return a message for a `yaml.YAMLError`, or for an exception of another type that PyYAML raises."""
    mark: Any = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    problem = getattr(error, "problem", None)
    if mark is None or not isinstance(problem, str):
        if isinstance(error, RecursionError):
            return "values are nested too deeply"
        if hasattr(error, "character"):
            return "a character is not allowed in YAML; remove control characters"
        return "a value or an escape sequence is not valid; check tags (!name) and backslashes"
    opened: Any = getattr(error, "context_mark", None) or mark
    return f"line {mark.line + 1}, column {mark.column + 1}: {_words(problem, opened.line + 1)}"


def _words(problem: str, opened: int) -> str:
    for pattern, words in _FAULTS:
        if found := re.fullmatch(pattern, problem):
            return words.format(*found.groups(), opened=opened)
    return problem
