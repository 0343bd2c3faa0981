"""Call telemetry of call-control: a log line for each change of status, metrics, and spans of traced calls.

Each step is reported exactly once, by the replica that saved it.
"""

from __future__ import annotations

import logging
import time

from bridge_common.base.log import fields, phone
from bridge_common.base.log_limit import LineLimit
from bridge_common.base.redaction import redacted
from bridge_common.observability import telemetry, tracing
from bridge_common.observability.tracing import Begun, Kind, Moment, Span
from bridge_common.wire.action_kinds import ADD_PARTICIPANT, TRANSFER
from bridge_common.wire.call_record import CallAction, CallRecord, Status
from bridge_common.wire.entries import Due, IncomingCall
from call_control import metrics
from call_control.core.events.callbacks import AcsEvent
from call_control.core.machine.action_book import find_action, target_name
from call_control.core.machine.call_commands import SetTimer
from call_control.core.machine.call_events import CallEvent
from call_control.core.policy.ring_limits import Limit
from call_control.core.policy.routing import Routed
from call_control.routing.ring_counter import Exceeded

log = logging.getLogger(__name__)
foreign_log = logging.getLogger("call_control.foreign_callbacks")
foreign_log.addFilter(LineLimit(per_s=1, burst=10))


def begin_trace(entry: IncomingCall) -> Begun:
    """Begin the span of an incoming call. Publish it only if the call is new."""
    about = {"call_id": entry.call_id, "correlation_id": entry.correlation_id}
    now = tracing.now_ms()
    return tracing.begin(
        Span(name="incoming call", began_ms=entry.received_ms, ended_ms=now, kind="consumer", attributes=about)
    )


def report_arrival(entry: IncomingCall, routed: Routed) -> None:
    metrics.CALLS.labels(Status.RINGING.value).inc()
    log.info(
        "call arrived",
        extra=fields(
            call_id=entry.call_id,
            caller=phone(entry.caller),
            callee=phone(entry.callee),
            action=routed.action,
            route=routed.rule,
            route_reason=routed.reason,
            waited_ms=round(time.time() * 1000) - entry.received_ms,
        ),
    )


def report_next_rule(record: CallRecord) -> None:
    log.info(
        "call continues with the next rule",
        extra=fields(call_id=record.call_id, route=record.route, route_reason=record.route_reason),
    )


def report_over_limit(entry: IncomingCall, exceeded: Exceeded) -> None:
    """Count the call, and log one line a minute for each limit."""
    metrics.OVER_LIMIT.labels(exceeded.limit.value).inc()
    if exceeded.first:
        caller = phone(entry.caller) if exceeded.limit is Limit.CALLER else ""
        log.warning(
            "limit on incoming calls exceeded; redirecting or rejecting calls",
            extra=fields(call_id=entry.call_id, limit=exceeded.limit.value, per_min=exceeded.most, caller=caller),
        )


def report_outdated(entry: IncomingCall, age_ms: int) -> None:
    metrics.OUTDATED.inc()
    log.warning(
        "call not answered: its event is older than the ring time",
        extra=fields(call_id=entry.call_id, age_s=round(age_ms / 1000, 1)),
    )


def report_foreign_callback(call_id: str, event: AcsEvent, field: str) -> None:
    """Log and count a callback that was posted to the URL of another call. `field`: the field in which they differ."""
    metrics.FOREIGN_CALLBACKS.labels(event.type).inc()
    foreign_log.warning(
        "callback of another call ignored",
        extra=fields(call_id=call_id, type=event.type, differs=field, connection_id=event.connection_id[:64]),
    )


def report_step(was: CallRecord, now: CallRecord, event: CallEvent) -> None:
    """Log a change of status, and record the metrics and spans that end with it."""
    if now.media_seen and not was.media_seen:
        _observe_answer(now, "media")
    overdue = isinstance(event, Due) and event.timer == SetTimer.ENDING and was != now
    if overdue and was.hang_up_ms and was.connection_id:
        _report_overdue_hang_up(was, now)
    report_people(was, now)
    if was.status is now.status:
        return
    log.info(
        "call changed status",
        extra=fields(
            call_id=now.call_id,
            was=was.status.value,
            status=now.status.value,
            event=_event_name(event),
            reason=now.end_reason,
        ),
    )
    metrics.CALLS.labels(now.status.value).inc()
    if now.status is Status.ANSWERING:
        _observe_answer(now, "answer")
    elif now.status is Status.CONNECTED:
        _observe_answer(now, "connected")
        requested = [Moment("answer requested", now.answered_ms)] if now.answered_ms else []
        _publish_span(now, "answer", now.created_ms, now.connected_ms, requested)
    elif now.status is Status.ENDED:
        metrics.ENDED.labels(metrics.end_reason_label(now.end_reason)).inc()
        if now.connected_ms:
            metrics.CALL.observe(max(now.ended_ms - now.connected_ms, 0) / 1000, telemetry.exemplar(now.traceparent))
        _publish_span(now, "call", now.created_ms, now.ended_ms, reason=now.end_reason)


def _report_overdue_hang_up(was: CallRecord, now: CallRecord) -> None:
    about = {"call_id": now.call_id, "since_s": round(time.time() - was.hang_up_ms / 1000, 1)}
    if now.command_seq > was.command_seq:
        metrics.HANG_UPS_REPEATED.inc()
        log.warning("hang-up not confirmed by ACS; repeating it", extra=fields(**about))
    else:
        metrics.HANG_UPS_ABANDONED.inc()
        log.error("hang-up not confirmed by ACS; the caller may still be connected", extra=fields(**about))


def report_command(record: CallRecord, name: str, began_ms: float, outcome: str, failure: str = "") -> None:
    """Record the metrics and the span of a finished command to ACS."""
    metrics.ACS_REQUESTS.labels(name, outcome).inc()
    now = tracing.now_ms()
    metrics.ACS_REQUEST.labels(name).observe((now - began_ms) / 1000, telemetry.exemplar(record.traceparent))
    _publish_span(record, f"ACS {name}", began_ms, now, kind="client", outcome=outcome, failure=failure)


def _publish_span(
    record: CallRecord,
    name: str,
    began_ms: float,
    ended_ms: float,
    moments: list[Moment] | None = None,
    *,
    kind: Kind = "internal",
    failure: str = "",
    **about: str,
) -> None:
    if not record.traceparent or not tracing.is_on():
        return
    span = Span(
        name=name,
        began_ms=began_ms,
        ended_ms=ended_ms,
        kind=kind,
        attributes={"call_id": record.call_id, **about},
        moments=moments or (),
        failure=failure,
    )
    tracing.export(record.traceparent, span)


def report_people(was: CallRecord, now: CallRecord) -> None:
    """Log the stages of a transfer, and count each transfer and invitation when the record has its outcome."""
    if (was.transfer, was.transfer_stage) != (now.transfer, now.transfer_stage):
        log.info(
            "transfer changed stage",
            extra=fields(
                call_id=now.call_id,
                action_id=now.transfer or was.transfer,
                target=_target_of(was if was.transfer else now),
                was=was.transfer_stage.value,
                stage=now.transfer_stage.value,
            ),
        )
    open_before = {action.id for action in was.actions if action.open}
    known = {action.id for action in was.actions}
    for action in now.actions:
        completed = not action.open and (action.id in open_before or action.id not in known)
        if completed:
            metrics.ACTIONS.labels(action.kind, action.state).inc()
        if completed and action.kind in (TRANSFER, ADD_PARTICIPANT):
            _report_outcome(now.call_id, action)


def _report_outcome(call_id: str, action: CallAction) -> None:
    outcome = metrics.outcome_label(action)
    about = {
        "call_id": call_id,
        "action_id": action.id,
        "target": redacted(target_name(action)),
        "by": action.by,
        "state": action.state,
        "outcome": outcome,
        "reason": redacted(action.reason),
    }
    if action.kind == TRANSFER:
        mode = metrics.mode_label(action)
        metrics.TRANSFERS.labels(mode, outcome).inc()
        log.info("transfer completed", extra=fields(**about, mode=mode))
    else:
        metrics.PARTICIPANTS_ADDED.labels(outcome).inc()
        log.info("invitation completed", extra=fields(**about))


def _target_of(record: CallRecord) -> str:
    """Return the name of the target of the transfer under way."""
    action = find_action(record, record.transfer)
    return redacted(target_name(action)) if action is not None else ""


def _observe_answer(record: CallRecord, until: str) -> None:
    since_ring_s = max(time.time() - record.created_ms / 1000, 0.0)
    metrics.ANSWER.labels(until).observe(since_ring_s, telemetry.exemplar(record.traceparent))


def _event_name(event: CallEvent) -> str:
    return str(getattr(event, "type", "") or type(event).__name__)
