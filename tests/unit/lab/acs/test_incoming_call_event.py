from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from lab.acs.incoming_call_event import IncomingCallEventData
from lab.acs.party_identifiers import Identifier

CALLER, CALLEE = Identifier("8:acs:res_ada"), Identifier("28:orgid:cc12")


def said(**given: object) -> dict[str, Any]:
    return IncomingCallEventData.model_validate(given).data(CALLER, CALLEE)


def test_a_plain_call_has_neither_context_nor_callee() -> None:
    assert said() == {
        "to": {"kind": "unknown", "rawId": "28:orgid:cc12"},  # A resource account: its number is not in the event.
        "callerDisplayName": "",
        "from": CALLER.json(),
    }


def test_given_fields_are_sent_unchanged() -> None:
    context = {"sipHeaders": {"User-To-User": "abc"}, "voipHeaders": None}
    given = said(displayName="Ada", customContext=context, onBehalfOfCallee={"rawId": "4:+1"})
    assert (given["callerDisplayName"], given["customContext"]) == ("Ada", context)
    assert given["onBehalfOfCallee"] == {"rawId": "4:+1"}
    nulls = said(display_name=None, custom_context=None, on_behalf_of_callee=None)
    assert [nulls[name] for name in ("callerDisplayName", "customContext", "onBehalfOfCallee")] == [None] * 3


@pytest.mark.parametrize(
    ("form", "caller"),
    [
        ("full", CALLER.json()),
        ("no_raw_id", {"kind": "communicationUser", "communicationUser": {"id": "8:acs:res_ada"}}),
        ("no_ids", {"kind": "unknown"}),
        ("absent", None),
    ],
)
def test_the_caller_is_named_in_every_form(form: str, caller: object) -> None:
    assert said(callerForm=form).get("from") == caller


@pytest.mark.parametrize(
    "context", [{"X-Customer-Tier": "gold"}, {"sipHeaders": {"X-Customer-Tier": 1}}, "gold", [{"sipHeaders": {}}]]
)
def test_headers_that_call_control_would_not_find_are_refused(context: object) -> None:
    with pytest.raises(ValidationError):
        said(customContext=context)


def test_a_misspelt_field_is_refused() -> None:
    with pytest.raises(ValidationError):
        said(callerform="full")
