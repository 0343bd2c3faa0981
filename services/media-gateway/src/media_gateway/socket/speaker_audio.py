"""The uplink of a call: the audio of one speaker as it arrives, or that of several, added in slots."""

from __future__ import annotations

from collections.abc import Iterable

from bridge_common.wire.audio import frame_bytes
from bridge_common.wire.call_record import Participant
from media_gateway import metrics
from media_gateway.core.acs_media import AudioData
from media_gateway.core.participant_mix import ParticipantMix
from media_gateway.core.speakers import ALL, CALLER, OTHERS, Speakers
from media_gateway.socket.uplink_encoder import UplinkEncoder
from media_gateway.ticker import Ticker


class SpeakerAudio:
    """Forwards the audio of the selected speakers to the uplink, from the moment the sample rate is known.

    While one person is in the call, frames are forwarded at once. With the second person slots begin, and continue as
    long as the socket, also if only the caller is heard: ACS may send no frames of participants who are silent, and the
    voice service needs their silence.
    """

    def __init__(self, uplink: UplinkEncoder, speakers: Speakers, ticker: Ticker, rate_hz: int) -> None:
        self.direct: UplinkEncoder | None = uplink
        """The uplink, for messages that it can process without decoding them; None if there are several speakers."""
        self._uplink = uplink
        self._speakers = speakers
        self._ticker = ticker
        self._slot_bytes = frame_bytes(rate_hz)
        self._mix: ParticipantMix | None = None
        self._stopped = False
        uplink.speaker = None if speakers.mixed else b""

    def take(self, message: AudioData, now: float) -> bool:
        """Forward the audio of a message. Returns False if the agent does not hear its participant."""
        source = self._speakers.source_of(message.participant, now)
        if self._mix is None and self._speakers.several:
            self.direct = None
            self._mix = ParticipantMix(self._slot_bytes, now)
            self._write(self._mix, now)
        if source is None:
            return False
        pcm = self._uplink.pcm_of(message)
        if self._mix is None:
            if not self._speakers.mixed:
                self._uplink.speaker = message.participant.encode(errors="surrogatepass")
            self._uplink.write(pcm)
        else:
            self._mix.push(source, pcm, now)
            self._write(self._mix, now)
        return True

    def listen(self, to: str) -> None:
        """Select the participants that the agent hears from now on. `to`: as in `Listen`."""
        self._speakers.listen(to)
        self._look_again()
        if self._mix is not None and to != ALL:
            self._mix.keep(lambda source: (source == CALLER) is (to != OTHERS))

    def know(self, others: Iterable[Participant]) -> None:
        """Replace the other people in the call's record."""
        self._speakers.know(others)
        self._look_again()

    def tick(self, now: float) -> None:
        """Write the slots that are complete now."""
        if self._mix is not None:
            self._write(self._mix, now)

    def stop(self) -> None:
        """End the slots. Further audio may arrive, but is not written."""
        self._stopped = True
        self._ticker.wake(self, None)

    def _look_again(self) -> None:
        """Decode the next frame to check its speaker again: the selection may have changed."""
        if not self._speakers.mixed:
            self._uplink.speaker = b""

    def _write(self, mix: ParticipantMix, now: float) -> None:
        if self._stopped:
            return
        for pcm in mix.due(now):
            self._uplink.write(pcm)
        if mix.cut:
            metrics.CUT_FRAMES.inc(mix.cut)
            mix.cut = 0
        self._ticker.wake(self, mix.next_at())
