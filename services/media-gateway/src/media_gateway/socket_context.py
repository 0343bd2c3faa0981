"""State that all media sockets of the process share."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

from bridge_common.base.outage_logger import OutageLogger
from bridge_common.store.call_store import CallStore
from bridge_common.store.inbox import Inbox
from bridge_common.streams.reader import StreamReader
from bridge_common.streams.writer import StreamWriter
from bridge_common.wire.keys import Keys
from media_gateway.admission import Admission
from media_gateway.settings import GatewaySettings
from media_gateway.ticker import Ticker

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SocketContext:
    settings: GatewaySettings
    keys: Keys
    store: CallStore
    inbox: Inbox
    reader: StreamReader
    writer: StreamWriter
    ticker: Ticker
    admission: Admission
    inbox_outage: OutageLogger = field(default_factory=lambda: OutageLogger(log, "writing to the inbox"))
    apology: bytes = b""
    """24 kHz PCM; empty: nothing is said."""
    wait_phrase: bytes = b""
    """24 kHz PCM for a caller who waits for the agent; empty: only the hold tone."""
