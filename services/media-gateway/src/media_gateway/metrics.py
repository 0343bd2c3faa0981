"""Metrics of the gateway."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from bridge_common.observability.telemetry import REGISTRY, Label, counter, gauge, histogram
from media_gateway.core.audio_health import AudioFault


class Frames(Collector):
    """Counter of audio messages. Plain numbers, converted to a metric on a scrape, because each frame is counted."""

    def __init__(self) -> None:
        self.received = 0
        self.sent = 0

    def collect(self) -> Iterator[CounterMetricFamily]:
        family = CounterMetricFamily(
            "bridge_gateway_frames", "Audio messages received from ACS (in) and sent to ACS (out)", labels=["direction"]
        )
        family.add_metric(["in"], self.received)
        family.add_metric(["out"], self.sent)
        yield family


_CODE: Final = Label("code", (str(code) for code in (503, *range(1000, 1016), 4001)))
"""503: not accepted, because the gateway is full or draining. Close codes of RFC 6455, section 7.4, and 4001 (taken
over). A peer may close with any number up to 4999.
"""
FRAMES: Final = Frames()
REGISTRY.register(FRAMES)
BAD_FRAMES: Final = counter("bridge_gateway_bad_frames_total", "Messages from ACS that were dropped as invalid")
OTHER_PARTICIPANT_FRAMES: Final = counter(
    "bridge_gateway_foreign_frames_total", "Audio frames of a participant that the agent does not hear"
)
CUT_FRAMES: Final = counter(
    "bridge_gateway_cut_frames_total", "Audio frames that were dropped because a participant's burst was too long"
)
CLEARS: Final = counter("bridge_gateway_clears_total", "StopAudio messages sent")
SOCKETS: Final = counter("bridge_gateway_sockets_total", "Media sockets by close code", _CODE)
LATE_BYTES: Final = counter("bridge_gateway_late_bytes_total", "Audio that arrived after its item was cleared")
REFUSED_BYTES: Final = counter(
    "bridge_gateway_refused_bytes_total", "Audio that arrived while the queue of its call was full"
)
_GAP_BUCKETS: Final = (0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0)
GAPS: Final = histogram(
    "bridge_gap_seconds",
    "Gaps in the audio. in: no message from ACS for more than 0.1 s; out: the next part of an item arrived too late",
    _GAP_BUCKETS, Label("direction", ("in", "out")),
)  # fmt: skip
JITTER: Final = histogram(
    "bridge_jitter_seconds",
    "Deviation of the time between two frames of the caller from 20 ms; two samples per second and call",
    (0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.5, 1.0),
)
UNDERRUNS: Final = counter("bridge_underruns_total", "Times that the audio of a response arrived too late")
AUDIO_FAULTS: Final = counter(
    "bridge_audio_faults_total",
    "Media sockets in which a fault of the audio was found, by kind",
    Label("kind", AudioFault),
)
BARGE_IN: Final = histogram(
    "bridge_barge_in_seconds", "From the relay's speech_started to StopAudio on the media socket",
    (0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.2, 0.5, 1.0),
)  # fmt: skip
ATTACHES: Final = counter(
    "bridge_gateway_attaches_total",
    "Media sockets attached to a call. first: its first media socket; again: a later one",
    Label("kind", ("first", "again")),
)
WAITING_S: Final = gauge("bridge_gateway_playout_waiting_seconds", "Audio that waits to be played, in all calls")
