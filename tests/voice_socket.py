"""A listener to a voice socket that only writes down what it hears."""

from __future__ import annotations

from dataclasses import dataclass, field

from agent_relay.voice_live_client import SocketClosedError, VoiceSocket
from eventually import eventually


@dataclass
class Ear:
    messages: list[bytes] = field(default_factory=list)
    lost: SocketClosedError | None = None
    writable_again: int = 0

    def on_message(self, message: memoryview | bytes) -> None:
        self.messages.append(bytes(message))

    def on_writable(self) -> None:
        self.writable_again += 1

    def on_lost(self, why: SocketClosedError) -> None:
        assert self.lost is None, "told once"
        self.lost = why

    async def until_lost(self) -> SocketClosedError:
        await eventually(lambda: self.lost is not None, what="the socket is lost")
        assert self.lost is not None
        return self.lost

    async def until_heard(self, count: int = 1) -> list[bytes]:
        await eventually(lambda: len(self.messages) >= count, what=f"{count} messages")
        return self.messages


def listening(socket: VoiceSocket) -> Ear:
    ear = Ear()
    socket.listen(ear)
    return ear
