from __future__ import annotations

import pytest

from bridge_common.wire.entries import Due, HangUp, MediaLost, MediaOpen, UplinkMissed, VoiceLost, VoiceReady
from call_control.core.events.callbacks import AcsEvent
from call_control.core.machine.call_commands import Answer, AnyCommand, LookUp, Offer, StopMediaStreaming
from call_control.core.machine.call_commands import HangUp as HangUpCommand
from call_control.core.machine.call_events import (
    KNOWN_CALLBACKS,
    CallEvent,
    CommandDone,
    CommandFailed,
    EventKind,
    kind_of,
)
from call_control.core.policy.routing import Accepted

CALL = "call_0123456789abcdef01234567"


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        (Accepted("default"), EventKind.ACCEPTED),
        (VoiceReady(CALL, 1), EventKind.VOICE_READY),
        (VoiceLost(CALL, 1, ""), EventKind.VOICE_LOST),
        (MediaOpen(CALL, 1), EventKind.MEDIA_OPEN),
        (MediaLost(CALL, 1, 1006), EventKind.MEDIA_LOST),
        (UplinkMissed(CALL, 1), EventKind.UPLINK_MISSED),
        (HangUp(CALL, "operator", ""), EventKind.HANG_UP),
        (Due(CALL, "voice", 1), EventKind.VOICE_DUE),
        (Due(CALL, "unheard-of", 1), None),
        (AcsEvent("1", "CallConnected", "c"), EventKind.CALL_CONNECTED),
        (AcsEvent("1", "PlayCompleted", "c"), None),
        (AcsEvent("1", "accepted", "c"), None),
        (AcsEvent("1", "Answer done", "c"), None),
    ],
)
def test_kinds(event: CallEvent, kind: EventKind | None) -> None:
    assert kind_of(event, None) is kind


@pytest.mark.parametrize(
    ("command", "done", "failed", "gone"),
    [
        (Answer(seq=1, cause=""), EventKind.ANSWER_DONE, EventKind.ANSWER_REFUSED, EventKind.ANSWER_GONE),
        (HangUpCommand(seq=1, cause=""), EventKind.HANG_UP_DONE, EventKind.HANG_UP_REFUSED, EventKind.HANG_UP_GONE),
        (LookUp(seq=1, cause=""), EventKind.LOOK_UP_DONE, EventKind.LOOK_UP_REFUSED, EventKind.LOOK_UP_GONE),
        (StopMediaStreaming(seq=1, cause=""), None, None, None),
        (Offer(seq=1, cause=""), None, None, None),
    ],
)
def test_results(command: AnyCommand, done: EventKind | None, failed: EventKind | None, gone: EventKind | None) -> None:
    assert kind_of(CommandDone(1), command) is done
    assert kind_of(CommandFailed(1, "500"), command) is failed
    assert kind_of(CommandFailed(1, "8522", gone=True), command) is gone


def test_known_callbacks_are_those_of_acs() -> None:
    calls = {"CallConnected", "CallDisconnected", "AnswerFailed", "CallTransferAccepted", "CallTransferFailed"}
    media = {"MediaStreamingFailed", "MediaStreamingStopped", "SendDtmfTonesCompleted", "SendDtmfTonesFailed"}
    people = {f"{name}Participant{end}" for name in ("Add", "CancelAdd", "Remove") for end in ("Succeeded", "Failed")}
    others = {"ParticipantsUpdated", "HoldFailed", "ContinuousDtmfRecognitionToneReceived"}
    assert calls | media | people | others == KNOWN_CALLBACKS
