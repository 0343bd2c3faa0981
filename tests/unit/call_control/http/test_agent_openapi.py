"""The OpenAPI document of the agent tools: valid, and accepted by Foundry, whose rules are stricter."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from openapi_spec_validator import validate

from call_control.http.agent_openapi import agent_openapi

DOCUMENT = agent_openapi("https://calls.example.com")


def foundry_faults(document: dict[str, Any]) -> Iterator[str]:
    """Yield violations of the rules of Foundry's OpenAPI tool (Microsoft Learn, "Use OpenAPI tools")."""
    schemes = document["components"]["securitySchemes"]
    if [scheme["type"] for scheme in schemes.values()] != ["apiKey"] or document.get("security") != [
        {name: [] for name in schemes}
    ]:
        yield "one apiKey scheme and `security` at the root are needed"
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            if not re.fullmatch(r"[A-Za-z_-]+", operation.get("operationId", "")):
                yield f"{method} {path}: operationId must consist of letters, - and _"
            if list(operation["requestBody"]["content"]) != ["application/json"]:
                yield f"{method} {path}: only JSON bodies are accepted"
    yield from (f"{key} is not accepted" for key in keys_of(document) if key in ("$ref", "anyOf", "allOf", "oneOf"))


def keys_of(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from keys_of(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from keys_of(inner)


def test_the_document_is_valid() -> None:
    validate(DOCUMENT)


def test_foundry_accepts_the_document() -> None:
    assert list(foundry_faults(DOCUMENT)) == []


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"security": []}, "one apiKey scheme and `security` at the root are needed"),
        ({"x": {"anyOf": []}}, "anyOf is not accepted"),
    ],
)
def test_the_check_finds_faults(change: dict[str, Any], fault: str) -> None:
    assert fault in list(foundry_faults(DOCUMENT | change))
