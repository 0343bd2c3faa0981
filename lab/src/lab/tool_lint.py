"""Lint for tool descriptions: the rules by which Foundry rejects an OpenAPI document or the tools of an MCP server.

A document can be valid and still be rejected (Microsoft Learn: Foundry, "Use OpenAPI tools", "Model Context Protocol").
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeAlias

import yaml

Json: TypeAlias = Mapping[str, Any]

_VERSION: Final = re.compile(r"3\.[01]\.\d+")
_OPERATION_ID: Final = re.compile(r"[A-Za-z_-]+")
_METHODS: Final = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
_COMBINED: Final = ("anyOf", "allOf", "oneOf")
_NAMES: Final = ("properties", "patternProperties", "$defs", "definitions")
"""Keywords whose keys are names, not keywords."""
_VALUES: Final = ("example", "examples", "default", "enum", "const")
_KEY_NAMES: Final = ("authorization", "x-api-key", "api-key", "apikey", "api_key", "code")


class LintError(Exception):
    """The text is not a tool description."""


def lint(text: str) -> list[str]:
    """Return the faults of an OpenAPI document, or of an MCP server's answer to `tools/list`; JSON or YAML. Raises
    `LintError`.
    """
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise LintError(f"the text is neither JSON nor YAML: {error}") from error
    if isinstance(document, dict) and isinstance(document.get("result"), dict):
        document = document["result"]
    if isinstance(document, dict) and isinstance(document.get("tools"), list):
        document = document["tools"]
    if isinstance(document, list) and document:
        return list(_mcp_faults(document))
    if isinstance(document, dict) and "openapi" in document:
        return list(_openapi_faults(document))
    raise LintError("the document has neither `openapi` nor `tools`; pass an OpenAPI document or an MCP tool list")


def _openapi_faults(document: Json) -> Iterator[str]:
    if not _VERSION.fullmatch(str(document["openapi"])):
        yield f"openapi: version {document['openapi']} is not supported; use 3.0 or 3.1"
    yield from _security_faults(document)
    key_names = {*_KEY_NAMES, *(str(one.get("name", "")).lower() for one in _schemes(document).values())}
    for path, item in document.get("paths", {}).items():
        shared = item.get("parameters", [])
        for method in _METHODS:
            if method in item:
                operation = item[method]
                yield from _operation_faults(f"{method.upper()} {path}", operation, shared, key_names)
    yield from _schema_faults("", document)


def _security_faults(document: Json) -> Iterator[str]:
    schemes = _schemes(document)
    if [one.get("type") for one in schemes.values()] != ["apiKey"]:
        yield "components.securitySchemes: must have exactly one scheme, of type apiKey"
    if document.get("security") != [{name: []} for name in schemes] or not schemes:
        yield "security: must be set at the root, with the name of the scheme"


def _operation_faults(where: str, operation: Json, shared: Sequence[Json], key_names: set[str]) -> Iterator[str]:
    operation_id = operation.get("operationId")
    if operation_id is None:
        yield f"{where}: operationId is missing"
    elif not _OPERATION_ID.fullmatch(str(operation_id)):
        yield f"{where}: operationId {operation_id!r} must consist of letters, - and _, without digits"
    kinds = [*operation.get("requestBody", {}).get("content", {"application/json": {}})]
    if kinds != ["application/json"]:
        yield f"{where}: the request body must be application/json only, got {', '.join(kinds)}"
    for parameter in [*shared, *operation.get("parameters", [])]:
        if str(parameter.get("name", "")).lower() in key_names:
            yield f"{where}: the parameter {parameter['name']} is an API key; remove it, the scheme sends it"


def _mcp_faults(tools: Sequence[Any]) -> Iterator[str]:
    for tool in tools:
        if not isinstance(tool, dict) or not isinstance(tool.get("name"), str):
            raise LintError("a tool has no `name`")
        schema = tool.get("inputSchema", tool.get("input_schema"))
        if not isinstance(schema, dict) or schema.get("type") != "object":
            yield f"{tool['name']}: inputSchema must be an object schema"
        else:
            yield from _schema_faults(tool["name"], schema)


def _schema_faults(where: str, node: Any, *, names: bool = False) -> Iterator[str]:
    """`names`: the keys of the node are names."""
    if isinstance(node, list):
        for index, part in enumerate(node):
            yield from _schema_faults(f"{where}[{index}]", part)
    elif isinstance(node, dict):
        for key, value in node.items():
            location = f"{where}.{key}" if where else str(key)
            if names:
                yield from _schema_faults(location, value)
                continue
            if key in _COMBINED:
                yield f"{location}: {key} is not accepted; write one schema"
            elif key == "$ref":
                yield f"{location}: references are not accepted; insert the schema"
            elif key == "type" and isinstance(value, list):
                yield f"{location}: a parameter has one type, got {', '.join(map(str, value))}"
            elif key not in _VALUES:
                yield from _schema_faults(location, value, names=key in _NAMES)


def _schemes(document: Json) -> Mapping[str, Json]:
    schemes: Mapping[str, Json] = document.get("components", {}).get("securitySchemes", {})
    return schemes


def lint_files(paths: Sequence[Path]) -> int:
    """Lint files (`-`: standard input) and print their faults. Return the exit code: 1 if there are any, 2 if a file
    cannot be linted.
    """
    code = 0
    for path in paths:
        try:
            text = sys.stdin.read() if str(path) == "-" else path.read_text(encoding="utf-8")
            faults = lint(text)
        except (LintError, OSError, UnicodeDecodeError) as error:
            print(f"{path}: {error}", file=sys.stderr)
            return 2
        for fault in faults:
            print(f"{path}: {fault}")
        code = code or int(bool(faults))
        if not faults:
            print(f"{path}: accepted")
    return code
