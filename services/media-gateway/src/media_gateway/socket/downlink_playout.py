"""AI → caller: entries of the downlink stream become messages to ACS, paced by the playout."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

from bridge_common.observability.media_metrics import observe_stamp
from bridge_common.wire.audio import VOICE_RATE_HZ, ms_of_bytes
from bridge_common.wire.entries import Audio, Clear, Ended, Entry, Hold, ItemEnd, Listen, Stamp
from media_gateway import metrics
from media_gateway.core.acs_media import STOP_AUDIO, encode_audio
from media_gateway.core.playout import Playout, Report
from media_gateway.core.rate_change import RateChange, rate_change
from media_gateway.settings import GatewaySettings
from media_gateway.ticker import Ticker

WAIT_ITEM: Final = "wait"


class SendBuffer:
    """Messages for one media socket: written at once, or buffered while its peer does not read. `put` never blocks.

    `on_overfull` is called when more than `limit` messages wait.
    """

    def __init__(self, write: Callable[[bytes], None], on_overfull: Callable[[], None], limit: int) -> None:
        self._write = write
        self._on_overfull = on_overfull
        self._limit = limit
        self._paused = False
        self._waiting: deque[bytes] = deque()

    def put(self, message: bytes) -> None:
        if not self._paused:
            self._write(message)
            return
        self._waiting.append(message)
        if len(self._waiting) > self._limit:
            self._on_overfull()

    def put_instead(self, message: bytes) -> None:
        """Drop the waiting messages and send this one."""
        self._waiting.clear()
        self.put(message)

    def paused(self, paused: bool) -> None:
        """Buffer messages while the peer does not read; send the waiting messages when it reads again."""
        self._paused = paused
        while self._waiting and not self._paused:
            self._write(self._waiting.popleft())


class DownlinkPlayout:
    """The downlink of one media socket. `take` receives the entries of the stream; the ticker calls `tick` when audio
    is due.
    """

    def __init__(
        self,
        rate_hz: int,
        settings: GatewaySettings,
        *,
        clock: Callable[[], float],
        ticker: Ticker,
        buffer: SendBuffer,
        report: Callable[[Report], None],
        on_stopped: Callable[[Clear], None],
        on_ended: Callable[[Ended], None],
        on_listen: Callable[[Listen], None],
        wait_phrase: bytes = b"",
    ) -> None:
        self._rate: RateChange = rate_change(VOICE_RATE_HZ, rate_hz)
        self._playout = Playout(
            lead_ms=settings.playout_lead_ms,
            message_ms=settings.playout_message_ms,
            delay_ms=self._rate.delay_ms,
            queue_ms=settings.playout_queue_s * 1000,
        )
        self._clock = clock
        self._ticker = ticker
        self._buffer = buffer
        self._report = report
        self._on_stopped = on_stopped
        self._on_ended = on_ended
        self._on_listen = on_listen
        self._holds = False
        """Whether the relay has started the hold tone."""
        self._alone = False
        self._bridged = False
        self._wait_phrase = wait_phrase
        self._phrases = 0

    @property
    def waiting_s(self) -> float:
        return ms_of_bytes(self._playout.waiting_bytes, VOICE_RATE_HZ) / 1000

    @property
    def spoken_bytes(self) -> int:
        """Audio of items that was sent so far, as 24 kHz PCM."""
        return self._playout.totals.sent

    @property
    def playing_until(self) -> float:
        """As in `Playout`."""
        return self._playout.playing_until

    def take(self, _entry_id: str, entry: Entry) -> None:
        match entry:
            case Audio():
                self._push(entry)
            case ItemEnd():
                self._playout.end(entry.item_id)
            case Clear():
                self.clear(entry.item_id)
                self._on_stopped(entry)
            case Hold():
                self._holds = entry.on
                if entry.on and entry.phrase:
                    self._ask_to_wait()
                self._hold()
            case Listen():
                self._on_listen(entry)
            case Stamp():
                observe_stamp("downlink", entry.at_us)
                return
            case Ended():
                self._on_ended(entry)
                return
            case _:
                return
        self.tick(self._clock())

    def _ask_to_wait(self) -> None:
        """Play the wait phrase unless audio is waiting. It is a separate item, which the relay does not know."""
        if self._wait_phrase and not self._playout.waiting_bytes:
            self._phrases += 1
            item_id = f"{WAIT_ITEM}-{self._phrases}"
            self._playout.push(item_id, self._wait_phrase)
            self._playout.end(item_id)

    def tick(self, now: float) -> None:
        """Send the audio that is due, and report the audio that was heard."""
        due = self._playout.due(now)
        for chunk in due.chunks:
            pcm = self._rate.feed(chunk.pcm24k)
            if chunk.final:
                pcm += self._rate.flush()
            if pcm:
                self._buffer.put(encode_audio(pcm))
                metrics.FRAMES.sent += 1
        for report in due.reports:
            self._report(report)
        if self._playout.totals.gaps:
            self._count_gaps()
        self._ticker.wake(self, self._playout.next_at())

    def alone(self, alone: bool, *, bridged: bool) -> None:
        """Play the hold tone if no relay handles the call, otherwise stop it. `bridged`: people in the call talk with
        each other, so it is not played.
        """
        if alone is not self._alone or bridged is not self._bridged:
            self._alone, self._bridged = alone, bridged
            self._hold()
            self.tick(self._clock())

    def _hold(self) -> None:
        self._playout.hold(self._holds or (self._alone and not self._bridged))

    def clear(self, item_id: str) -> None:
        """Stop the audio at once: at ACS, in the send buffer, in the playout and in the resampler."""
        self._buffer.put_instead(STOP_AUDIO)
        metrics.CLEARS.inc()
        self._rate.reset()
        self.give_up(item_id)

    def give_up(self, item_id: str = "") -> None:
        """Drop the waiting audio, and report how much of each item was heard."""
        self._ticker.wake(self, None)
        for report in self._playout.clear(item_id, self._clock()):
            self._report(report)

    def _count_gaps(self) -> None:
        gaps = self._playout.totals.gaps
        metrics.UNDERRUNS.inc(len(gaps))
        for gap_s in gaps:
            metrics.GAPS.labels("out").observe(gap_s)
        gaps.clear()

    def _push(self, audio: Audio) -> None:
        totals = self._playout.totals
        late, refused = totals.late, totals.refused
        self._playout.push(audio.item_id, audio.pcm24k)
        if totals.late != late:
            metrics.LATE_BYTES.inc(totals.late - late)
        if totals.refused != refused:
            metrics.REFUSED_BYTES.inc(totals.refused - refused)
