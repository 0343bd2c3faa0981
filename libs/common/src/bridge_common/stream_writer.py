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
from bridge_common.redis_clients import is_passing

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
        """Append no more; what was appended before is still written."""
        self.closed = True

    def fenced(self) -> None:
        """Redis refused the epoch, or the stream is gone."""
        if self.closed:
            return
        self.closed = True
        try:
            self._on_fenced()
        except Exception:
            # One call's fault must not stop the writing of all others.
            log.exception("on_fenced failed", extra=fields(key=self.key, epoch=self.epoch))


class StreamWriter:
    """All outlets of a process; `run` writes until cancelled, one `run` at a time."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._waiting: deque[tuple[Outlet, str, bytes]] = deque()
        self._batch: list[tuple[Outlet, str, bytes]] = []
        self._in_doubt = False
        """Whether an attempt at `_batch` was made whose result we do not know."""
        self._something = asyncio.Event()
        self._queued = 0
        self._settled = 0
        self._progress = asyncio.Event()
        self._ended = False
        self.dropped = 0

    def outlet(self, key: str, epoch: int, on_fenced: Callable[[], None]) -> Outlet:
        return Outlet(self, key, epoch, on_fenced)

    def queue(self, outlet: Outlet, entry_id: str, payload: bytes) -> None:
        if len(self._waiting) >= MAX_WAITING:
            self._waiting.popleft()
            self._settled += 1
            self.dropped += 1
        self._waiting.append((outlet, entry_id, payload))
        self._queued += 1
        self._something.set()

    async def flush(self) -> None:
        """Return when all that was appended so far has been written or given up; while Redis is away, that is long.

        Returns at once after `run` has ended: nobody writes any more.
        """
        target = self._queued
        while self._settled < target and not self._ended:
            await self._progress.wait()

    async def run(self) -> None:
        """Write until cancelled; run again, it goes on with the batch it was cancelled in."""
        self._ended = False
        try:
            while True:
                if not self._batch:
                    await self._take_batch()
                await self._write_batch()
                self._settled += len(self._batch)
                self._batch = []
                self._tell_progress()
        finally:
            self._ended = True
            self._tell_progress()

    async def _take_batch(self) -> None:
        while not self._waiting:
            self._something.clear()
            await self._something.wait()
        self._batch = [self._waiting.popleft() for _ in range(min(_BATCH, len(self._waiting)))]
        self._in_doubt = False

    def _tell_progress(self) -> None:
        self._progress.set()
        self._progress = asyncio.Event()

    async def _write_batch(self) -> None:
        """Write one batch; when Redis does not answer, try the same batch again: explicit ids make that harmless."""
        failing = False
        while True:
            repeated, self._in_doubt = self._in_doubt, True
            try:
                results = await self._attempt()
                break
            except (RedisError, OSError) as error:
                if not failing:
                    log.warning("stream write failing", extra=fields(entries=len(self._batch), error=str(error)))
                failing = True
                await asyncio.sleep(_RETRY_S)
        if failing:
            log.warning("stream write works again", extra=fields(dropped=self.dropped))
        for (outlet, _, _), result in zip(self._batch, results, strict=True):
            # After an attempt in doubt a refused id may be our own entry; a writer that was fenced meanwhile learns
            # it with the next batch.
            if result is None or (isinstance(result, ResponseError) and not repeated):
                outlet.fenced()

    async def _attempt(self) -> list[object]:
        """One reply for each entry: its id, None where the stream is gone, or the error that refused it."""
        pipeline = self._redis.pipeline(transaction=False)
        for outlet, entry_id, payload in self._batch:
            pipeline.xadd(
                outlet.key,
                {FIELD: payload},
                id=entry_id,
                maxlen=MEDIA_STREAM_LENGTH,
                approximate=True,
                nomkstream=True,
            )
        results: list[object] = await pipeline.execute(raise_on_error=False)
        for result in results:
            if isinstance(result, ResponseError) and is_passing(result):
                raise result
        return results
