from __future__ import annotations

import pytest
import yaml

from bridge_common.base.yaml_faults import yaml_fault

QUOTES = 'put the whole string in quotes ("…")'


def _fault(text: str) -> str:
    try:
        yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        return yaml_fault(error)
    raise AssertionError(f"{text!r} is valid")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (
            "a:\n  b: {text: How can I help?}",
            f"line 2, column 27: `?` has a meaning of its own between brackets, which open in line 2; {QUOTES}",
        ),
        ("a: {text: Note: call}", "line 1, column 15: `:` has a meaning of its own between brackets"),
        ("a:\n  text: Note: call", "line 2, column 13: a colon followed by a space begins a value; if it is part of"),
        ("a: {b: c\n", "line 2, column 1: the bracket that opens in line 1 is not closed"),
        ("a: {b: [c}", "line 1, column 10: the bracket that opens in line 1 is closed by another one"),
        ('a: {b: "x" c}', "line 1, column 12: a comma is missing between the brackets"),
        ("a:\n\tb: c", "line 2, column 1: the line contains a tab; indent with spaces"),
        ("a: @x", f"line 1, column 4: a string must not begin with `@`; {QUOTES}"),
        ("a: *x", f"line 1, column 4: `*x` refers to a value that does not exist; if it is a string, {QUOTES}"),
        ("a: &x b\nc: &x d", "line 2, column 4: another value has the same anchor (&name); rename one of them"),
        ("a: 'x\nb: c\n", "line 3, column 1: the quote that opens in line 1 is not closed"),
        ("a:\n - b\n c: d", "line 3, column 2: the line does not continue the lines before it; check its indentation"),
        ("a: b\nc\nd: e", "line 3, column 1: line 2 is not a field (`name: value`)"),
        ("a: b\n---\nc: d", "line 2, column 1: the line does not continue"),
        ('a: "\\d"', "line 1, column 6: `\\d` is not a valid escape; use single quotes"),
        ("a: !x b", "line 1, column 4: tags (!name) are not allowed"),
        ("a: |x\n b", "line 1, column 5: a string after `|` or `>` begins in the next line, indented"),
        ("\x00", "a character is not allowed in YAML"),
        ("a: !!int x", "a value or an escape sequence is not valid"),
        ("[" * 3_000, "values are nested too deeply"),
    ],
)
def test_faults(text: str, fault: str) -> None:
    assert _fault(text).startswith(fault)


def test_a_fault_of_a_loader_is_kept() -> None:
    mark = yaml.Mark("", 0, 2, 4, None, 0)
    error = yaml.MarkedYAMLError(problem="aliases are not allowed", problem_mark=mark)
    assert yaml_fault(error) == "line 3, column 5: aliases are not allowed"
