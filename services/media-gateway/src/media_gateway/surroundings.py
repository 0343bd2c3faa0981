"""What all media sockets of the process share."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

from bridge_common.call_store import CallStore
from bridge_common.inbox import Inbox
from bridge_common.keys import Keys
from bridge_common.outage import Outage
from bridge_common.streams import StreamReader, StreamWriter
from media_gateway.admission import Admission
from media_gateway.settings import GatewaySettings
from media_gateway.ticker import Ticker

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Surroundings:
    settings: GatewaySettings
    keys: Keys
    store: CallStore
    inbox: Inbox
    reader: StreamReader
    writer: StreamWriter
    ticker: Ticker
    admission: Admission
    telling: Outage = field(default_factory=lambda: Outage(log, "writing to the inbox"))
    apology: bytes = b""
    """24 kHz PCM; empty: nothing is said."""
    wait_phrase: bytes = b""
    """24 kHz PCM for a caller who waits for the agent; empty: only the hold tone."""
