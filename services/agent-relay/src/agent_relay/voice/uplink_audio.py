"""Caller audio between two voice sessions: frames that wait for a session, and frames that a lost session may not have
received.

Voice Live does not acknowledge audio. Any event shows that the session was alive, so only frames sent after its last
event are in doubt; they are sent again to the next session. An unfinished turn of the caller is sent again from its
beginning, because the next session does not know it.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from agent_relay.core.protocol.voice_codec import encode_append
from agent_relay.core.uplink_cursor import KEPT_FRAMES, PREROLL_FRAMES

MOST_FRAMES: Final = 5
"""Frames in one append after a gap: 100 ms."""


class UplinkAudio:
    def __init__(self) -> None:
        self._frames: deque[bytes] = deque()
        self._sent: deque[bytes] = deque(maxlen=KEPT_FRAMES)
        """Frames sent to the current session, newest last."""
        self._in_doubt = 0
        """Number of newest frames in `_sent` that the session may not have received; may exceed their number."""
        self._turn_began = False
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._frames)

    def add(self, pcm24k: bytes) -> None:
        self._frames.append(pcm24k)
        self._drop_surplus()

    def take(self) -> bytes | None:
        """Return the next message, None if all frames were sent."""
        if not self._frames:
            return None
        count = min(len(self._frames), MOST_FRAMES)
        frames = [self._frames.popleft() for _ in range(count)]
        self._sent.extend(frames)
        self._in_doubt += count
        return encode_append(frames[0] if count == 1 else b"".join(frames))

    def forwarded(self, pcm24k: bytes) -> None:
        """Record that the frame was sent immediately."""
        self._sent.append(pcm24k)
        self._in_doubt += 1

    def session_alive(self, *, caller_speaks: bool) -> None:
        """Record that an event arrived from the session."""
        if not caller_speaks:
            self._turn_began = False
            self._in_doubt = 0
            while len(self._sent) > PREROLL_FRAMES:
                self._sent.popleft()  # a turn that begins later needs no older frames
        elif not self._turn_began:
            self._turn_began = True
            self._in_doubt = PREROLL_FRAMES

    def session_ends_in_order(self) -> None:
        """Record that the session has received all frames, because it closed with a close frame or is being
        replaced.
        """
        if not self._turn_began:
            self._in_doubt = 0

    def session_over(self) -> None:
        """End the session, and keep the frames in doubt for the next one."""
        in_doubt = min(self._in_doubt, len(self._sent))
        for _ in range(in_doubt):
            self._frames.appendleft(self._sent.pop())
        self._sent.clear()
        self._in_doubt = 0
        self._turn_began = False
        self._drop_surplus()

    def _drop_surplus(self) -> None:
        while len(self._frames) > KEPT_FRAMES:
            self._frames.popleft()
            self.dropped += 1
