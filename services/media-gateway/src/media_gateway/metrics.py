"""What the gateway counts."""

from __future__ import annotations

from typing import Final

from bridge_common.telemetry import counter, gauge

_FRAMES = counter("bridge_gateway_frames_total", "Audio messages, in from ACS and out to it", "direction")
FRAMES_IN: Final = _FRAMES.labels("in")
FRAMES_OUT: Final = _FRAMES.labels("out")
BAD_FRAMES: Final = counter("bridge_gateway_bad_frames_total", "Messages dropped because ACS would not send them")
FOREIGN_FRAMES: Final = counter("bridge_gateway_foreign_frames_total", "Audio dropped because another party said it")
CLEARS: Final = counter("bridge_gateway_clears_total", "StopAudio sent")
SOCKETS: Final = counter("bridge_gateway_sockets_total", "Media sockets by the code they were closed with", "code")
LATE_BYTES: Final = counter("bridge_gateway_late_bytes_total", "Audio that came after its item was cleared")
REFUSED_BYTES: Final = counter("bridge_gateway_refused_bytes_total", "Audio that came while a call's queue was full")
WAITING_S: Final = gauge("bridge_gateway_playout_waiting_seconds", "Audio that waits to be played, over all calls")
