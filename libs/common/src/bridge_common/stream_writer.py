"""The writing end of the media streams: what a loop turn produced, over all calls, goes out in one pipeline.

The stream is the fence. Every entry carries the id `<epoch>-<seq>`: Redis refuses a writer with a lower epoch and a
repeated append alike, so a writer that lost its call is silenced by the server and a retry never doubles anything.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import Final

from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from bridge_common.entries import FIELD, Entry, encode
from bridge_common.keys import MEDIA_STREAM_LENGTH
from bridge_common.log import fields

log = logging.getLogger(__name__)

MAX_WAITING: Final = 20_000
"""Entries kept while Redis does not answer: 2 s of 100 calls both ways. Beyond it the oldest go."""
_BATCH: Final = 512
_RETRY_S: Final = 0.05


class Outlet:
    """One call's stream under one epoch. `append` never blocks; a refusal is reported once through `on_fenced`."""

    __slots__ = ("_on_fenced", "_seq", "_writer", "closed", "epoch", "key")

    def __init__(self, writer: StreamWriter, key: str, epoch: int, on_fenced: Callable[[], None]) -> None:
        self.key = key
        self.epoch = epoch
        self.closed = False
        self._seq = 0
        self._writer = writer
        self._on_fenced = on_fenced

    def append(self, entry: Entry) -> None:
        """Queue the entry; after `close` or a fence it is dropped."""
        if not self.closed:
            self._seq += 1
            self._writer.queue(self, f"{self.epoch}-{self._seq}", encode(entry))

    def close(self) -> None:
        self.closed = True

    def fenced(self) -> None:
        """Redis refused the epoch, or the stream is gone."""
        if not self.closed:
            self.closed = True
            self._on_fenced()


class StreamWriter:
    """All outlets of a process; `run` writes until cancelled."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._waiting: deque[tuple[Outlet, str, bytes]] = deque()
        self._something = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self.dropped = 0

    def outlet(self, key: str, epoch: int, on_fenced: Callable[[], None]) -> Outlet:
        return Outlet(self, key, epoch, on_fenced)

    def queue(self, outlet: Outlet, entry_id: str, payload: bytes) -> None:
        if len(self._waiting) >= MAX_WAITING:
            self._waiting.popleft()
            self.dropped += 1
        self._waiting.append((outlet, entry_id, payload))
        self._something.set()
        self._idle.clear()

    async def flush(self) -> None:
        """Return when all that was appended so far has been written or given up."""
        await self._idle.wait()

    async def run(self) -> None:
        while True:
            await self._something.wait()
            self._something.clear()
            while self._waiting:
                await self._write([self._waiting.popleft() for _ in range(min(_BATCH, len(self._waiting)))])
            self._idle.set()

    async def _write(self, batch: list[tuple[Outlet, str, bytes]]) -> None:
        """Write one batch; when Redis does not answer, try the same batch again: explicit ids make that harmless."""
        repeated = False
        while True:
            try:
                pipeline = self._redis.pipeline(transaction=False)
                for outlet, entry_id, payload in batch:
                    pipeline.xadd(
                        outlet.key,
                        {FIELD: payload},
                        id=entry_id,
                        maxlen=MEDIA_STREAM_LENGTH,
                        approximate=True,
                        nomkstream=True,
                    )
                results = await pipeline.execute(raise_on_error=False)
                break
            except (RedisError, OSError) as error:
                log.warning("stream write failed", extra=fields(entries=len(batch), error=str(error)))
                repeated = True
                await asyncio.sleep(_RETRY_S)
        for (outlet, _, _), result in zip(batch, results, strict=True):
            if result is None or (isinstance(result, ResponseError) and not repeated):
                outlet.fenced()
