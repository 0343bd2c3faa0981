"""docs/openapi.json equals the generator's output; responses of the API and examples in docs/api.md match it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from bridge_common.wire.call_record import CallRecord, Participant, Status, TransferStage
from bridge_common.wire.entries import Notice, Turn
from call_control.http import error_responses
from call_control.http.operator_api import call_json, entry_json
from tests.repo.openapi import ERRORS, OPERATIONS, PATH, document, routes, text

_CONTEXT = '{"sip_headers": {"User-To-User": "56a6"}}'


def test_the_file_is_current() -> None:
    assert PATH.read_text(encoding="utf-8") == text(), "run: python -m tests.repo.openapi"


def test_every_route_is_described_and_every_description_has_a_route() -> None:
    assert set(OPERATIONS) == routes()


def test_every_error_of_the_code_is_the_answer_of_some_operation() -> None:
    used = {error for operation in OPERATIONS.values() for error in operation.errors}
    assert used == set(ERRORS) >= {cls for cls, _ in error_responses.STATUS}


def test_every_reference_resolves() -> None:
    schemas = document()["components"]["schemas"]
    named = set(re.findall(r'"#/components/schemas/(\w+)"', text()))
    assert named <= set(schemas)
    assert set(schemas) <= named, "unused"


@pytest.mark.parametrize(
    ("schema", "answer"),
    [
        ("Call", call_json(CallRecord(call_id="call_1", status=Status.CONNECTED, custom_context=_CONTEXT))),
        (
            "Call",
            call_json(
                CallRecord(
                    call_id="call_1",
                    status=Status.CONNECTED,
                    transfer="act_1",
                    transfer_stage=TransferStage.BRIDGED,
                    participants=(Participant("4:+14255550177", "billing", "joined", "act_1", "invitation", 1),),
                )
            ),
        ),
        ("Turn", entry_json("1-0", Turn("agent", "item_1", "Hello.", 1))),
        ("Notice", entry_json("1-0", Notice("greeting", "", 1))),
    ],
)
def test_answers_of_the_code_fit(schema: str, answer: dict[str, object]) -> None:
    _check(schema, answer)
    with pytest.raises(jsonschema.ValidationError):
        _check(schema, {**answer, "more": 1})


def test_the_examples_of_the_page_fit(root: Path) -> None:
    page = (root / "docs/api.md").read_text(encoding="utf-8")
    examples = [json.loads(example) for example in re.findall(r"```json\n(.*?)```", page, re.DOTALL)]
    schemas = ("Calls", "Transcript", "ActionRequest", "Actions", "PolicyInForce", "Fleet")
    for schema, example in zip(schemas, examples, strict=True):
        _check(schema, example)


def _check(schema: str, value: Any) -> None:
    components = document()["components"]
    jsonschema.validate(value, {"$ref": f"#/components/schemas/{schema}", "components": components})
