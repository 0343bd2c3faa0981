from __future__ import annotations

import pytest
from jsonschema import Draft202012Validator

from agent_relay.tools.arguments import check_arguments, decode_arguments
from bridge_common.base.errors import InputError

SCHEMA = Draft202012Validator(
    {"type": "object", "properties": {"sum": {"type": "integer"}, "note": {"type": "string", "maxLength": 5}}}
)


def test_arguments_are_decoded() -> None:
    assert decode_arguments("") == {}
    assert decode_arguments('{"note": "\\ud83d\\ude00"}') == {"note": "\U0001f600"}


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("{", "not valid JSON"),
        ('{"sum": NaN}', "not valid JSON"),
        ('{"sum": -Infinity}', "not valid JSON"),
        ('{"sum": 1e999}', "not valid JSON"),
        ('{"sum": ' + "1" * 5_000 + "}", "not valid JSON"),
        ('{"note": "\\ud800"}', "a lone surrogate"),
        ('{"\\udfff": 1}', "a lone surrogate"),
        ('{"note": ' + "[" * 100_000 + "]" * 100_000 + "}", "nested too deeply"),
    ],
)
def test_arguments_that_cannot_be_sent(text: str, fault: str) -> None:
    with pytest.raises(InputError, match=fault):
        decode_arguments(text)


def test_faults_name_the_place_and_the_rule() -> None:
    check_arguments({"sum": 1}, SCHEMA)
    with pytest.raises(InputError, match="The arguments are not valid: sum: 'x' is not of type 'integer'"):
        check_arguments({"sum": "x"}, SCHEMA)


@pytest.mark.parametrize("arguments", [{"note": "x" * 100_000}, {"sum": ["y" * 100_000]}])
def test_faults_are_short(arguments: dict[str, object]) -> None:
    """Regression: the message repeated the whole argument, 106 KB."""
    with pytest.raises(InputError) as caught:
        check_arguments(arguments, SCHEMA)
    assert len(caught.value.message) < 500
    assert "the value does not match {" in caught.value.message


def test_a_deep_schema_fault_is_an_answer() -> None:
    recursive = Draft202012Validator({"$defs": {"a": {"items": {"$ref": "#/$defs/a"}}}, "$ref": "#/$defs/a"})
    deep: list[object] = []
    for _ in range(900):
        deep = [deep]
    with pytest.raises(InputError, match="nested too deeply"):
        check_arguments(deep, recursive)
