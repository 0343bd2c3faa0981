"""docs/api.md lists exactly the routes, errors, statuses and end reasons of the code."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from starlette.routing import Route

from bridge_common.service.web_server import application
from bridge_common.wire.call_record import Status
from call_control.app import CallControl
from call_control.core.policy.ring_limits import OVER_LIMIT
from call_control.core.policy.routing import ON_BEHALF, Rejected
from call_control.http import error_responses
from tests.support.scripted_acs import ScriptedAcs
from tests.support.switchboard import environment, settings_of

_ROUTE = re.compile(r"`(GET|POST|PUT|DELETE|OPTIONS) (/[^`?\s]*)[^`]*`")
_ERROR = re.compile(r"^\| (\d{3}) \| `([a-z_]+)` \|", re.MULTILINE)
_CODE = re.compile(r"`([^`]+)`")
_OF_THE_SERVER = {(404, "not_found"), (405, "method_not_allowed"), (500, "internal")}


@pytest.fixture(scope="module")
def page(root: Path) -> str:
    return (root / "docs/api.md").read_text(encoding="utf-8")


def test_every_route_is_documented_and_every_documented_route_exists(page: str) -> None:
    acs = cast(ScriptedAcs, SimpleNamespace(connection_string="endpoint=http://127.0.0.1:1;accesskey=a2V5"))
    settings = settings_of(environment("redis://127.0.0.1:1", acs))
    routes = [route for route in application(CallControl(settings)).routes if isinstance(route, Route)]
    found = {(method, route.path) for route in routes for method in route.methods or () if method != "HEAD"}
    assert len(found) > 12
    assert set(_ROUTE.findall(page)) == found


def test_every_error_is_documented(page: str) -> None:
    raised = {(status, cls.code) for cls, status in error_responses.STATUS}
    raised.add((409, error_responses.InterruptedSayError.code))
    documented = {(int(status), code) for status, code in _ERROR.findall(page)}
    assert documented == raised | _OF_THE_SERVER


def test_every_status_is_documented(page: str, root: Path) -> None:
    statuses = {status.value for status in Status}
    (line,) = re.findall(r"^`status`: (.*?);", page, re.MULTILINE)
    assert set(_CODE.findall(line)) == statuses
    telemetry = (root / "docs/telemetry.md").read_text(encoding="utf-8")
    (row,) = re.findall(r"^\| `bridge_calls_total` .*$", telemetry, re.MULTILINE)
    assert set(_CODE.findall(row)) == statuses | {"bridge_calls_total", "status"}


def test_every_end_reason_is_documented(page: str, modules: dict[Path, ast.Module]) -> None:
    core = [tree for path, tree in modules.items() if "call_control/core" in path.as_posix()]
    found = {reason for tree in core for reason in _reasons_of(tree)} | {
        ON_BEHALF,
        OVER_LIMIT,
        Rejected("busy").end_reason,
    }
    literal = {reason for reason in found if not reason.endswith("_*")}
    families = tuple(reason.removesuffix("*") for reason in found - literal)
    assert len(literal) > 12
    assert set(families) == {"hung_up_by_", "acs_"}
    documented = _documented_reasons(page)
    assert not sorted(literal - documented)
    assert not sorted(
        reason for reason in documented - literal if not reason.startswith(families) and "<event>" not in reason
    )
    assert all(any(reason.startswith(family) for reason in documented) for family in families)


def test_reasons_are_found_in_code() -> None:
    tree = ast.parse('X = set_end_reason("a"); note_end(t, "b"); note_end(t, f"acs_{code}"); note_end(t, f"{n}_{c}")')
    assert set(_reasons_of(tree)) == {"a", "b", "acs_*"}


def _documented_reasons(page: str) -> set[str]:
    table = page.partition("| `end_reason` |")[2].partition("\n\n")[0]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    return {reason for row in rows for reason in _CODE.findall(row)}


def _reasons_of(tree: ast.Module) -> Iterator[str]:
    """Return the reasons passed to `set_end_reason` and `note_end`. An f-string is reduced to its constant start and
    `*`.
    """
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or getattr(node.func, "id", "") not in ("set_end_reason", "note_end"):
            continue
        match node.args[-1]:
            case ast.Constant(value=str(reason)):
                yield reason
            case ast.JoinedStr(values=[ast.Constant(value=str(beginning)), *_]):
                yield f"{beginning}*"
