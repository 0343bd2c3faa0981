from __future__ import annotations

from lab.acs.calling_context import CallingContext
from lab.acs.invitation import Invitation
from lab.acs.party_identifiers import Identifier


def test_an_invitation_shows_what_was_sent_and_what_arrives() -> None:
    context = CallingContext({"X-MS-Custom-A": "1", "Plain": "2"}, {})
    invited = Invitation("add", Identifier.phone("+14255550177"), context, "+18005551212", timeout_s=20)
    assert invited.open
    shown = invited.json()
    assert shown.pop("t") == invited.began
    assert shown == {
        "kind": "add",
        "target": "4:+14255550177",
        "outcome": "ringing",
        "timeout_s": 20,
        "caller_id": "+18005551212",
        "display_name": None,
        "sent": {"sipHeaders": {"X-MS-Custom-A": "1", "Plain": "2"}},
        "delivered": {"sipHeaders": {"X-MS-Custom-A": "1"}},
    }
    invited.outcome = "answered"
    assert not invited.open
