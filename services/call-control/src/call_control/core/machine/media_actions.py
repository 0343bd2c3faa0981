"""Guards and actions of the call machine's table for a media socket that is awaited, lost or restored.

While the media timer is armed, the call waits for a media socket that is newer than the timer's `lost_epoch`. Three
senders can report the loss, in any order: the gateway of the socket (`MediaLost`), the relay that reads no entries
(`UplinkMissed`, after the gateway died), and ACS (a callback). The first report begins the wait.

The first attempt starts streaming without stopping it: if streaming is still running, ACS rejects the request, and the
open socket is not affected. Only if the socket is still missing after that, streaming is stopped and started.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from bridge_common.wire.call_record import CallRecord
from bridge_common.wire.entries import MediaLost, MediaOpen, UplinkMissed
from call_control.core.events.callbacks import AcsEvent
from call_control.core.machine.call_commands import SetTimer, StartMediaStreaming, StopMediaStreaming
from call_control.core.machine.call_events import CallEvent, CommandFailed
from call_control.core.machine.transition import CallPolicy, Transition, armed

_PAUSES_MS: Final = (500, 500, 1_000, 2_000)
"""Pauses after the first, second, … failed attempt; the last value for all later ones."""
_SHORTEST_MS: Final = 500
REST_MS: Final = 15_000
_MAY_PASS: Final = frozenset({"unavailable", "throttled", "auth"})
"""Errors of ACS that do not depend on the call's streaming."""


# -- guards -----------------------------------------------------------------------------------------------------------
def socket_new(record: CallRecord, event: CallEvent, policy: CallPolicy) -> bool:
    """True if the socket is new: none was reported before, or the call waits for one, and this one is not lost."""
    wait = armed(record, SetTimer.MEDIA)
    if wait is None:
        return not record.media_seen
    return isinstance(event, MediaOpen) and event.epoch > wait.lost_epoch


def socket_current(record: CallRecord, event: CallEvent, policy: CallPolicy) -> bool:
    """True if the lost socket is the newest one: no other has attached since."""
    is_newest = isinstance(event, MediaLost) and event.epoch >= record.uplink_epoch
    return is_newest and armed(record, SetTimer.MEDIA) is None


def loss_known_better(record: CallRecord, event: CallEvent, policy: CallPolicy) -> bool:
    """True if the call already waits for a socket, and the event reports the loss of a newer one."""
    wait = armed(record, SetTimer.MEDIA)
    is_newest = not isinstance(event, MediaLost) or event.epoch >= record.uplink_epoch
    return wait is not None and is_newest and _lost_epoch(event) > wait.lost_epoch


def media_expected(record: CallRecord, event: CallEvent, policy: CallPolicy) -> bool:
    """True if the call has a media socket, as far as is known."""
    return record.media_seen and armed(record, SetTimer.MEDIA) is None


def stopped_unrequested(record: CallRecord, event: CallEvent, policy: CallPolicy) -> bool:
    """True if ACS has stopped streaming although call-control did not request it."""
    requested = isinstance(event, AcsEvent) and event.operation_context.startswith(StopMediaStreaming.__name__)
    return media_expected(record, event, policy) and not requested


def streaming_over(record: CallRecord, event: CallEvent, policy: CallPolicy) -> bool:
    """True if ACS reports that streaming has failed, and call-control has not requested a restart yet."""
    wait = armed(record, SetTimer.MEDIA)
    if wait is None:
        return record.media_seen
    return record.media_restarts == 0 and (not wait.operation or attempt_failed(record, event, policy))


def never_open(record: CallRecord, event: CallEvent, policy: CallPolicy) -> bool:
    """True if the call has had no media socket yet. Streaming cannot be started before the call is connected; until
    then the wait continues.
    """
    return not record.media_seen and armed(record, SetTimer.MEDIA) is None


def attempt_failed(record: CallRecord, event: CallEvent, policy: CallPolicy) -> bool:
    """True if ACS reports the failure of the operation that should open the media socket."""
    wait = armed(record, SetTimer.MEDIA)
    return isinstance(event, AcsEvent) and wait is not None and wait.operation == event.operation_context != ""


def start_needless(record: CallRecord, event: CallEvent, policy: CallPolicy) -> bool:
    """True if only a callback reported the loss, and ACS rejects the start of streaming: then the callback is outdated.
    If media is missing nevertheless, the relay will report the missing uplink.
    """
    wait = armed(record, SetTimer.MEDIA)
    only_callback = record.media_seen and record.media_restarts == 1 and wait is not None and wait.lost_epoch == 0
    refused = isinstance(event, CommandFailed) and event.code not in _MAY_PASS
    return only_callback and refused and start_awaited(record, event, policy)


def start_awaited(record: CallRecord, event: CallEvent, policy: CallPolicy) -> bool:
    wait = armed(record, SetTimer.MEDIA)
    return isinstance(event, CommandFailed) and wait is not None and wait.operation == _operation_of_start(event.seq)


def patience_left(record: CallRecord, event: CallEvent, policy: CallPolicy) -> bool:
    wait = armed(record, SetTimer.MEDIA)
    return wait is not None and wait.due_ms < record.media_lost_ms + policy.media_patience_ms


def start_under_way(record: CallRecord, event: CallEvent, policy: CallPolicy) -> bool:
    """True if ACS has not responded to the latest start yet: only one request at a time."""
    requested = any(item.kind == StartMediaStreaming.__name__ for item in record.pending)
    return requested and patience_left(record, event, policy)


def restart_wanted(record: CallRecord, command: StartMediaStreaming | StopMediaStreaming) -> bool:
    """Return whether the call still waits for the socket of this start, or of the start that follows this stop."""
    wait = armed(record, SetTimer.MEDIA)
    seq = command.seq + isinstance(command, StopMediaStreaming)
    return wait is not None and wait.operation == _operation_of_start(seq)


# -- actions ----------------------------------------------------------------------------------------------------------
def expect_media(transition: Transition, event: CallEvent) -> None:
    """Arm the timers of a connected call; the media timer only if the media socket has not opened yet: it may open
    before `CallConnected` arrives.
    """
    transition.disarm(SetTimer.CONNECT)
    transition.arm(SetTimer.LENGTH, transition.policy.longest_call_ms)
    if 0 < transition.policy.warning_ms < transition.policy.longest_call_ms:
        transition.arm(SetTimer.WARNING, transition.policy.longest_call_ms - transition.policy.warning_ms)
    if not transition.record.media_seen and armed(transition.record, SetTimer.MEDIA) is None:
        operation = event.operation_context if isinstance(event, AcsEvent) else ""
        _await_media(transition, event, transition.policy.media_ms, operation=operation)


def note_media(transition: Transition, event: CallEvent) -> None:
    transition.disarm(SetTimer.MEDIA)
    transition.record = replace(transition.record, media_seen=True, media_restarts=0)


def await_redial(transition: Transition, event: CallEvent) -> None:
    _await_media(transition, event, transition.policy.redial_ms)


def note_loss(transition: Transition, event: CallEvent) -> None:
    wait = armed(transition.record, SetTimer.MEDIA)
    if wait is not None:
        transition.annotate(replace(wait, lost_epoch=max(wait.lost_epoch, _lost_epoch(event))))


def wait_on(transition: Transition, event: CallEvent) -> None:
    wait = armed(transition.record, SetTimer.MEDIA)
    _await_media(transition, event, transition.policy.redial_ms, operation=wait.operation if wait else "")


def pause(transition: Transition, event: CallEvent) -> None:
    """Wait before the next attempt."""
    attempts = transition.record.media_restarts
    _await_media(transition, event, _PAUSES_MS[min(attempts, len(_PAUSES_MS)) - 1])


def restart_streaming(transition: Transition, event: CallEvent) -> None:
    """Start streaming: ACS connects to the media URL of the answer request. From the second attempt on, stop it first,
    in case ACS considers it to be running.
    """
    _start(transition, event)


def _start(transition: Transition, event: CallEvent | None) -> None:
    begins = armed(transition.record, SetTimer.MEDIA) is None
    attempts = 0 if begins else transition.record.media_restarts
    if attempts:
        transition.issue(StopMediaStreaming)
    start = transition.issue(StartMediaStreaming)
    _await_media(transition, event, transition.policy.started_media_ms, operation=start.operation_context)
    transition.record = replace(transition.record, media_restarts=attempts + 1)


def rest(transition: Transition, event: CallEvent) -> None:
    """Pause the attempts: people talk with each other, or ACS transfers the caller."""
    wait, until_ms = armed(transition.record, SetTimer.MEDIA), transition.now_ms + REST_MS
    transition.record = replace(transition.record, media_lost_ms=until_ms, media_restarts=0)
    transition.arm(SetTimer.MEDIA, REST_MS, lost_epoch=wait.lost_epoch if wait is not None else 0)


def start_over(transition: Transition) -> None:
    """Start streaming as if the media had just been lost: the agent is needed again."""
    transition.record = replace(transition.record, media_lost_ms=transition.now_ms, media_restarts=0)
    _start(transition, None)


def _await_media(transition: Transition, event: CallEvent | None, in_ms: int, *, operation: str = "") -> None:
    """Arm the media timer for `in_ms`, but at most until `media_patience_ms` after the first wait began."""
    wait = armed(transition.record, SetTimer.MEDIA)
    if wait is None:
        transition.record = replace(transition.record, media_lost_ms=transition.now_ms, media_restarts=0)
    left_ms = transition.record.media_lost_ms + transition.policy.media_patience_ms - transition.now_ms
    lost_epoch = max(wait.lost_epoch if wait else 0, _lost_epoch(event))
    transition.arm(
        SetTimer.MEDIA, max(min(in_ms, left_ms), min(in_ms, _SHORTEST_MS)), operation=operation, lost_epoch=lost_epoch
    )


def _lost_epoch(event: CallEvent | None) -> int:
    """Return the epoch of the newest socket that is certainly lost according to this event, 0 if there is none."""
    match event:
        case MediaLost(epoch=epoch):
            return epoch
        case UplinkMissed(epoch=epoch):
            # The socket of `epoch` may still be open; if so, the relay reports it again.
            return epoch - 1
    return 0


def _operation_of_start(seq: int) -> str:
    return StartMediaStreaming(seq=seq, cause="").operation_context
