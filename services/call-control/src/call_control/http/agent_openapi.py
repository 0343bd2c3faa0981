"""The OpenAPI document of the agent tools, in the form that Foundry's OpenAPI tool accepts.

Operation ids without digits, JSON bodies only, no references, one `apiKey` scheme with `security` at the root
(Microsoft Learn: Foundry, "Use OpenAPI tools").
"""

from __future__ import annotations

from typing import Any

from bridge_common.wire.agent_tools import AGENT_TOOLS, AgentTool
from call_control.core.agent_requests import CALL_ARGUMENT


def agent_openapi(base_url: str) -> dict[str, Any]:
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Phone call",
            "version": "1.0.0",
            "description": "Actions on the phone call that the agent is in.",
        },
        "servers": [{"url": base_url}],
        "paths": {f"/agent/tools/{tool.name}": {"post": _operation(tool)} for tool in AGENT_TOOLS.values()},
        "components": {"securitySchemes": {"key": {"type": "apiKey", "in": "header", "name": "X-Api-Key"}}},
        "security": [{"key": []}],
    }


def _operation(tool: AgentTool) -> dict[str, Any]:
    return {
        "operationId": tool.name,
        "summary": tool.description.partition(". ")[0].rstrip(".") + ".",
        "description": tool.description,
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": tool.parameters(call=CALL_ARGUMENT)}},
        },
        "responses": {
            "200": _response("The action is accepted, or refused for the given reason.", _ANSWER),
            "400": _response("The body is not a JSON object.", _ERROR),
            "401": _response("The key or the token is missing or not valid.", _ERROR),
            "403": _response("Agent tools are off.", _ERROR),
            "408": _response("The body took too long.", _ERROR),
            "413": _response("The body is too long.", _ERROR),
            "503": _response("Temporarily unavailable.", _ERROR),
        },
    }


def _response(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


_ANSWER: dict[str, Any] = {
    "type": "object",
    "properties": {
        "ok": {"type": "boolean", "description": "Whether the action is carried out."},
        "state": {"type": "string", "description": "accepted, running or done."},
        "say": {"type": "string", "description": "What to do next."},
        "reason": {"type": "string", "description": "Why the action is refused."},
    },
    "required": ["ok"],
}
_ERROR: dict[str, Any] = {
    "type": "object",
    "properties": {
        "status": {"type": "integer"},
        "code": {"type": "string"},
        "detail": {"type": "string"},
        "error": {
            "type": "object",
            "properties": {"code": {"type": "string"}, "message": {"type": "string"}},
            "required": ["code", "message"],
        },
    },
    "required": ["error"],
}
