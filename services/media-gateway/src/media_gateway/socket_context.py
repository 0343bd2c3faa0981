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
from media_gateway.core.peer_limits import PER_S
from media_gateway.settings import GatewaySettings
from media_gateway.ticker import Ticker

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SocketLimits:
    """Fixed limits of the media sockets; tests shorten them."""

    head_s: float = 4.0
    """Time for a request head to arrive. ACS gives up on a handshake after about a second."""
    close_s: float = 1.0
    """Time for the peer to answer a close frame."""
    first_message_s: float = 5.0
    """Time for the first message on a new socket."""
    idle_s: float = 10.0
    """Longest silence on a socket after that."""
    restored_within_s: float = 5.0
    """Time for a relay to restore the streams of a call that Redis has lost."""
    waiting_messages: int = 500
    """Messages that may wait for a peer that does not read: ten seconds of frames."""
    send_buffer_bytes: int = 128 * 1024
    """Kernel's send buffer of each socket: seconds of audio. With its default size, it would take minutes until a peer
    that does not read is detected."""
    attaches_per_s: float = PER_S


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
    limits: SocketLimits = field(default_factory=SocketLimits)
    inbox_outage: OutageLogger = field(default_factory=lambda: OutageLogger(log, "writing to the inbox"))
    apology: bytes = b""
    """24 kHz PCM; empty: no apology."""
    wait_phrase: bytes = b""
    """24 kHz PCM for a caller who waits for the agent; empty: only the hold tone."""
