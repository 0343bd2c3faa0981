"""The OpenAPI document of the agent tools: valid, and accepted by Foundry, whose rules are stricter."""

from __future__ import annotations

import json

from openapi_spec_validator import validate

from call_control.http.agent_openapi import agent_openapi
from lab.tool_lint import lint

DOCUMENT = agent_openapi("https://calls.example.com")


def test_the_document_is_valid() -> None:
    validate(DOCUMENT)


def test_foundry_accepts_the_document() -> None:
    assert lint(json.dumps(DOCUMENT)) == []
