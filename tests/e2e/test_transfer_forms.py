"""Transfers and people in the call under each behavior that the documentation of ACS leaves open (`CallForms`).

Each variant is a built-in story with other forms. Its claims stay the same, or change as stated here. All calls run on
one stack, each with its own forms.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, get_args

import pytest

from lab.acs.forms import CallForms
from lab.call_report import CallReport
from lab.calls_together import run_together
from lab.observed_call import ObservedCall
from lab.scenario import BUILT_IN, Scenario, ScenarioStep
from lab.scenario_file import load_scenario
from lab.scenario_outcome import ExpectedTransfer
from lab.stack import Stack, running
from lab.story import prepare, stack_for
from lab.wire import call_json

AT_ONCE: Final = 12
RINGS_S: Final = 1.2
"""Longer than the pause after which the caller's script continues."""
Forms = Mapping[str, Any]
NO_ANSWER: Final = "attended-transfer-no-answer"
CANCELED: Final = {"transfers": (ExpectedTransfer(target="desk", outcome="canceled"),), "informed": ()}
NO_TONE: Final = {"hold_tone": False}
"""The caller cannot hear the hold tone."""
PERHAPS_A_TONE: Final = {"hold_tone": None}
"""ACS refuses at once, and how soon the agent learns of it depends on the load of the machine."""
UNREACHED: Final[dict[str, Any]] = {
    **PERHAPS_A_TONE,
    "transfers": (ExpectedTransfer(target="planner", outcome="failed"),),
    "hears": {},
}
REFUSED_AT_ONCE: Final = {"caller_id", "teams_targets"}
"""Forms in which the explanation follows the announcement without a pause that the caller could wait for."""
STAYS: Final = {"end_reason": "caller_hung_up"}
CUT_OFF: Final = "heard: “The reception is busy.”"
"""The only check that may fail, and only if ACS ends the call in this sentence."""
VARIANTS: Final[list[tuple[str, Forms, Forms]]] = [
    *(("attended-transfer", {"join_events": form}, {}) for form in ("success_first", "roster_only", "success_only")),
    *(("attended-transfer", {"roster": form}, {}) for form in ("flood", "stale")),
    ("attended-transfer", {"roster_delay_s": 1.5}, {}),
    ("attended-transfer", {"caller_leaves": "ends_call"}, {}),
    ("attended-transfer", {"silent_party": "none"}, {}),
    *(("attended-transfer", {"join_media": form}, {}) for form in ("gap", "redial")),
    ("person-hangs-up", {"roster": "stale", "roster_delay_s": 0.5}, {}),
    ("person-hangs-up", {"roster": "flood", "join_events": "success_only"}, {}),
    *(("attended-transfer-busy", {"join_events": form}, {}) for form in ("success_only", "roster_only")),
    *((NO_ANSWER, {"cancel_events": form}, CANCELED) for form in ("succeeded", "both", "failed")),
    ("attended-transfer-confirmed", {"dtmf_id": "present"}, {}),
    ("caller-wants-agent", {"dtmf_id": "present", "roster": "stale"}, {}),
    *(("three-people-all", {"frame_timing": form}, {}) for form in ("apart", "bursts")),
    *(("three-people-all", forms, {}) for forms in ({"silent_party": "none"}, {"own_audio": "own_id"})),
    ("three-people-all", {"join_frames_s": 1.0, "join_media": "gap"}, {}),
    ("three-people-caller", {"frame_timing": "bursts", "own_audio": "own_id"}, {}),
    ("three-people-caller", {"silent_party": "none"}, {}),
    *(("hold-and-resume", {"stopped_party": form}, {}) for form in ("none", "continues")),
    ("hold-and-resume", {"hold_events": "roster_only"}, {}),
    *(("attended-transfer-and-leave", {"leaving": form}, {}) for form in ("refused",)),
    *(("attended-transfer-and-connect", {"group_transfer": form}, STAYS) for form in ("refused", "failed")),
    *(("blind-transfer", {"accepted_transfer": form}, {}) for form in ("7000", "5002", "disconnected_first")),
    ("blind-transfer", {"accepted_transfer": "no_event", "transfer_close": "cut"}, {}),
    ("blind-transfer", {"transfer_media": "stops"}, {}),
    *(("blind-transfer", {"transfer_media": form}, NO_TONE) for form in ("silent", "closed")),
    ("blind-transfer-busy", {"failed_transfer": "not_established"}, {}),
    ("blind-transfer-busy", {"transfer_media": "stops"}, {}),
    *(("blind-transfer-busy", {"transfer_media": form}, NO_TONE) for form in ("silent", "closed")),
]
ENDING: Final[list[tuple[str, Forms, Forms]]] = [
    ("blind-transfer-busy", {"failed_transfer": "ends"}, {"says": (), "informed": (), "end_reason": None}),
    ("attended-transfer-and-leave", {"leaving": "ends_call"}, {"hears": {}}),
    ("teams-account", {"teams_targets": "refused"}, UNREACHED),
    ("attended-transfer-busy", {"caller_id": "refused"}, PERHAPS_A_TONE),
    ("attended-transfer-busy", {"caller_id": "not_owned"}, PERHAPS_A_TONE),
]
"""Variants in which the call or the transfer ends differently."""


def variants() -> Iterator[Scenario]:
    for name, forms, expected in [*VARIANTS, *ENDING]:
        story = load_scenario(BUILT_IN[name])
        about = ", ".join(f"{form} {value}" for form, value in forms.items())
        expect = story.expect.model_copy(update=expected)
        if "caller_id" in forms:
            transfers = [one.model_copy(update={"reason": None}) for one in expect.transfers or ()]
            expect = expect.model_copy(update={"transfers": tuple(transfers), "informed": ()})
        caller = story.caller
        if forms.keys() & REFUSED_AT_ONCE:
            greeted, asks, *_, hang_up = caller.steps
            both = ScenarioStep(wait_for="agent_ends", ms=1500, within_s=30)
            caller = caller.model_copy(update={"steps": (greeted, asks, both, hang_up)})
        changes = {
            "caller": caller,
            "name": f"{name} {about}".replace(",", ""),
            "forms": {**story.forms, **forms},
            "expect": expect,
        }
        yield story.model_copy(update=changes)


def _passed(report: CallReport) -> bool:
    lost = report.scenario.forms.get("failed_transfer") == "ends"
    return not report.unanswered and all(lost and check.claim == CUT_OFF for check in report.broken)


def _canceled(stack: Stack) -> Any:
    """Return the callback that lets an operator end the wait for the person, once their phone rings."""
    done: set[str] = set()

    def cancel(scenario: Scenario, call: ObservedCall) -> None:
        if "cancel_events" not in scenario.forms or call.lab_id in done:
            return
        call.poll()
        now = call.phone["now"]
        if any(one["outcome"] == "ringing" and now - one["t"] > RINGS_S for one in call.phone["invitations"]):
            done.add(call.lab_id)
            actions = f"{stack.url('call-control')}/api/calls/{call.record()['call_id']}/actions"
            key = {"Idempotency-Key": f"cancel-{call.lab_id}"}
            call_json("POST", actions, {"action": "return_to_agent"}, headers=key)

    return cancel


@pytest.mark.timeout(300)
def test_stories_hold_under_every_form(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REDIS_URL", raising=False)
    # `make test` plays every fourth variant, the nightly run all of them: each takes about two seconds of a worker.
    scenarios = list(variants())[:: 1 if os.environ.get("EVERY_FORM") else 4]
    with running(stack_for(scenarios[0], tmp_path / "stack")) as stack:
        prepare(stack, scenarios[0].stack)
        reports = [
            report
            for first in range(0, len(scenarios), AT_ONCE)
            for report in run_together(stack, scenarios[first : first + AT_ONCE], tmp_path / "out", _canceled(stack))
        ]
        failed = [f"{one.scenario.name}\n" + "\n".join(one.lines()) for one in reports if not _passed(one)]
        assert [process.name for process in stack.dead()] == []
    assert not failed, "\n\n".join(failed)


ELSEWHERE: Final = {
    "outbound_limit": "it counts the calls of all variants; tests/contract/acs plays it",
    "hold_events failed": "the conversation of the story needs the hold; tests of call-control play it",
    "own_audio mixed": "the services use unmixed audio",
    "emptied_call": "a call is never emptied",
    "hang_up_while_ringing": "outbound calls",
    "failed_create": "outbound calls",
    "play_to": "prompts are played to everyone",
    "play_with_stream": "no prompt is played while the agent speaks",
    "mixed_id": "the services use unmixed audio",
    "hold_scope": "who hears whom is up to ACS",
    "invitation_timeout_s": "the request sets the ringing time",
    "transfer_timeout_s": "story blind-transfer-no-answer",
    "after_transfer": "story blind-transfer",
    "refused_media": "test_full_gateway",
}
"""Forms, and values of forms, that are not varied here, and why."""


def test_every_form_is_played() -> None:
    played: dict[str, set[Any]] = {}
    for _, forms, _ in [*VARIANTS, *ENDING]:
        for form, value in forms.items():
            played.setdefault(form, set()).add(value)
    for form, field in CallForms.model_fields.items():
        if form in ELSEWHERE:
            continue
        others = {value for value in get_args(field.annotation) if value != field.default}
        assert played.get(form), form
        left_out = {value for value in others if f"{form} {value}" in ELSEWHERE}
        assert others - left_out <= played[form], form
