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
from media_gateway.core.audio_health import AudioLimits
from media_gateway.core.peer_limits import PER_S
from media_gateway.recordings import Recordings
from media_gateway.settings import GatewaySettings
from media_gateway.ticker import Ticker

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SocketLimits:
    """Fixed limits of the media sockets; tests shorten them."""

    head_s: float = 4.0
    """Time limit of a request head. ACS gives up on a handshake after about a second."""
    close_s: float = 1.0
    """Time limit for the peer to reply to a close frame."""
    first_message_s: float = 5.0
    """Time limit for the first message on a new socket."""
    idle_s: float = 10.0
    """Maximum silence on a socket after the first message."""
    restored_within_s: float = 5.0
    """Time limit for a relay to restore the streams of a call that Redis has lost."""
    waiting_messages: int = 500
    """Maximum messages that wait for a peer that does not read: ten seconds of frames."""
    send_buffer_bytes: int = 128 * 1024
    """Size of the kernel's send buffer of each socket: seconds of audio. With its default size, it would take minutes
    to detect a peer that does not read.
    """
    attaches_per_s: float = PER_S
    audio: AudioLimits = field(default_factory=AudioLimits)


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
    inbox_outage: OutageLogger = field(
        default_factory=lambda: OutageLogger(log, begun="failed to write to the inbox", over="inbox write recovered")
    )
    apologies: Recordings = field(default_factory=Recordings)
    """For a caller whose voice session cannot be restored; empty: no apology."""
    wait_phrases: Recordings = field(default_factory=Recordings)
    """For a caller who waits for the agent; empty: only the hold tone."""
