"""Lint of tool descriptions: ours are accepted, and each rule finds its fault."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from bridge_common.wire.agent_tools import AGENT_TOOLS
from call_control.core.agent_requests import CALL_ARGUMENT
from call_control.http.agent_openapi import agent_openapi
from lab.tool_lint import LintError, lint, lint_files

OPENAPI = agent_openapi("https://calls.example.com")
TOOLS = [{"name": tool.name, "inputSchema": tool.parameters(call=CALL_ARGUMENT)} for tool in AGENT_TOOLS.values()]
PATH = "/agent/tools/end_call"
SCHEMA = f"paths.{PATH}.post.requestBody.content.application/json.schema"


def faults(document: object) -> list[str]:
    return lint(json.dumps(document))


def changed(change: Callable[[dict[str, Any]], object]) -> list[str]:
    document = copy.deepcopy(OPENAPI)
    change(document)
    return faults(document)


def operation(document: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = document["paths"][PATH]["post"]
    return found


def schema(document: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = operation(document)["requestBody"]["content"]["application/json"]["schema"]
    return found


def test_our_tools_are_accepted() -> None:
    assert faults(OPENAPI) == []
    assert lint(yaml.safe_dump(OPENAPI)) == []
    for form in (TOOLS, {"tools": TOOLS}, {"jsonrpc": "2.0", "id": 1, "result": {"tools": TOOLS}}):
        assert faults(form) == []


def key_parameter(name: str) -> Callable[[dict[str, Any]], object]:
    return lambda document: operation(document).update(parameters=[{"name": name, "in": "header"}])


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda d: d.update(openapi="2.0"), "openapi: version 2.0 is not supported; use 3.0 or 3.1"),
        (lambda d: operation(d).pop("operationId"), f"POST {PATH}: operationId is missing"),
        (
            lambda d: operation(d).update(operationId="hang_up_2"),
            f"POST {PATH}: operationId 'hang_up_2' must consist of letters, - and _, without digits",
        ),
        (
            lambda d: operation(d)["requestBody"]["content"].update({"text/plain": {}}),
            f"POST {PATH}: the request body must be application/json only, got application/json, text/plain",
        ),
        (lambda d: d.update(security=[]), "security: must be set at the root, with the name of the scheme"),
        (lambda d: d.pop("security"), "security: must be set at the root, with the name of the scheme"),
        (
            lambda d: d["components"]["securitySchemes"]["key"].update(type="http"),
            "components.securitySchemes: must have exactly one scheme, of type apiKey",
        ),
        (
            key_parameter("x-api-key"),
            f"POST {PATH}: the parameter x-api-key is an API key; remove it, the scheme sends it",
        ),
        (
            lambda d: d["paths"][PATH].update(parameters=[{"name": "Authorization", "in": "header"}]),
            f"POST {PATH}: the parameter Authorization is an API key; remove it, the scheme sends it",
        ),
        *(
            (
                lambda d, word=word: schema(d).update({word: [{"type": "object"}]}),
                f"{SCHEMA}.{word}: {word} is not accepted; write one schema",
            )
            for word in ("anyOf", "allOf", "oneOf")
        ),
        (
            lambda d: schema(d)["properties"]["call"].update(type=["string", "null"]),
            f"{SCHEMA}.properties.call.type: a parameter has one type, got string, null",
        ),
        (
            lambda d: schema(d)["properties"].update(call={"$ref": "#/components/schemas/Call"}),
            f"{SCHEMA}.properties.call.$ref: references are not accepted; insert the schema",
        ),
    ],
)
def test_each_rule_of_openapi_finds_its_fault(change: Callable[[dict[str, Any]], object], fault: str) -> None:
    assert changed(change) == [fault]


def test_a_second_scheme_is_a_fault() -> None:
    more = {"other": {"type": "apiKey", "in": "header", "name": "X-Other"}}
    assert "components.securitySchemes: must have exactly one scheme, of type apiKey" in changed(
        lambda d: d["components"]["securitySchemes"].update(more)
    )


def test_a_field_may_have_the_name_of_a_keyword() -> None:
    def add_fields(document: dict[str, Any]) -> None:
        schema(document)["properties"] |= {
            "anyOf": {"type": "string", "example": {"$ref": "x"}},
            "type": {"type": "string"},
        }

    assert changed(add_fields) == []


@pytest.mark.parametrize(
    ("parameters", "fault"),
    [
        ({"type": "object", "properties": {"a": {"anyOf": []}}}, "tool.properties.a.anyOf: anyOf is not accepted"),
        (
            {"type": "object", "properties": {"a": {"type": ["string", "null"]}}},
            "tool.properties.a.type: a parameter has",
        ),
        ({"type": "object", "allOf": []}, "tool.allOf: allOf is not accepted"),
        ({"type": "object", "properties": {"a": {"$ref": "#/$defs/A"}}}, "tool.properties.a.$ref: references are not"),
        ({"type": "string"}, "tool: inputSchema must be an object schema"),
        (None, "tool: inputSchema must be an object schema"),
    ],
)
def test_each_rule_of_mcp_finds_its_fault(parameters: object, fault: str) -> None:
    [found] = faults([{"name": "tool", "inputSchema": parameters}])
    assert found.startswith(fault)


@pytest.mark.parametrize("text", ["", "[", "a: b: c", "{}", "5", '[{"inputSchema": {}}]', "[1]"])
def test_another_text_is_no_tool_description(text: str) -> None:
    with pytest.raises(LintError):
        lint(text)


def test_the_command_prints_the_faults_of_each_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good, bad = tmp_path / "good.json", tmp_path / "bad.json"
    good.write_text(json.dumps(OPENAPI))
    bad.write_text(json.dumps(OPENAPI | {"security": []}))
    assert lint_files([good]) == 0
    assert lint_files([good, bad]) == 1
    printed = capsys.readouterr()
    assert f"{good}: accepted\n" in printed.out
    assert f"{bad}: security: must be set at the root" in printed.out
    assert lint_files([tmp_path / "missing.json"]) == 2
    assert "missing.json" in capsys.readouterr().err
