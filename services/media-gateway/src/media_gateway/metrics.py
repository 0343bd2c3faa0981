"""What the gateway counts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from bridge_common.telemetry import REGISTRY, counter, gauge


class Frames(Collector):
    """Audio messages. Plain numbers, made into a metric when somebody asks: they are counted for every frame."""

    def __init__(self) -> None:
        self.heard = 0
        self.sent = 0

    def collect(self) -> Iterator[CounterMetricFamily]:
        family = CounterMetricFamily(
            "bridge_gateway_frames", "Audio messages, in from ACS and out to it", labels=["direction"]
        )
        family.add_metric(["in"], self.heard)
        family.add_metric(["out"], self.sent)
        yield family


FRAMES: Final = Frames()
REGISTRY.register(FRAMES)
BAD_FRAMES: Final = counter("bridge_gateway_bad_frames_total", "Messages dropped because ACS would not send them")
FOREIGN_FRAMES: Final = counter("bridge_gateway_foreign_frames_total", "Audio dropped because another party said it")
CLEARS: Final = counter("bridge_gateway_clears_total", "StopAudio sent")
SOCKETS: Final = counter("bridge_gateway_sockets_total", "Media sockets by the code they were closed with", "code")
LATE_BYTES: Final = counter("bridge_gateway_late_bytes_total", "Audio that came after its item was cleared")
REFUSED_BYTES: Final = counter("bridge_gateway_refused_bytes_total", "Audio that came while a call's queue was full")
WAITING_S: Final = gauge("bridge_gateway_playout_waiting_seconds", "Audio that waits to be played, over all calls")
