"""Reports callbacks that were posted to the URL of a call they do not belong to (`core.binding`)."""

from __future__ import annotations

import logging

from bridge_common.base.log import fields
from bridge_common.base.log_limit import LineLimit
from call_control import metrics
from call_control.core.events.callbacks import AcsEvent

log = logging.getLogger(__name__)
log.addFilter(LineLimit(per_s=1, burst=10))


def report(call_id: str, event: AcsEvent, field: str) -> None:
    """`field`: where the callback differs from the call."""
    metrics.FOREIGN_CALLBACKS.labels(event.type).inc()
    log.warning(
        "callback of another call ignored",
        extra=fields(call_id=call_id, type=event.type, differs=field, connection_id=event.connection_id[:64]),
    )
