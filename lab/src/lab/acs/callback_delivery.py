"""Delivers the callback events of a call: one request at a time, each with a new token, with retries."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

import aiohttp
from yarl import URL

from lab.acs import callback_events
from lab.acs.acs_faults import CallbackFault
from lab.acs.calls import SimulatedCall
from lab.acs.party_identifiers import Json
from lab.acs.shared_state import SharedState
from lab.simulator import log

_REORDER_S = 0.3


class CallbackQueue:
    """Sends the requests of one call in the order of `put`. After `finish`, `run` returns when the last request is
    sent.

    Delivery is at least once: a request without a 2xx response is sent again, with the same event ids and a new token,
    up to `callback_attempts` times. The retry schedule of ACS is not documented.
    """

    def __init__(self, call: SimulatedCall, shared: SharedState) -> None:
        self._call = call
        self._shared = shared
        self._queue: asyncio.Queue[tuple[str, list[Json]] | None] = asyncio.Queue()

    def put(self, *events: Json, url: str | None = None) -> None:
        """Queue one request with `events` to `url`, by default the callback URL of the call. Without any URL, the
        events are dropped.
        """
        address = url or (self._call.callback.callback_url if self._call.callback else None)
        if address:
            self._queue.put_nowait((address, list(events)))

    def put_each(self, events: Sequence[Json]) -> None:
        """Queue one request for each event."""
        for event in events:
            self.put(event)

    def finish(self) -> None:
        self._queue.put_nowait(None)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as late:
            while (entry := await self._queue.get()) is not None:
                url, events = entry
                fault = self._shared.faults.callbacks([str(event["type"]) for event in events])
                if fault is not None:
                    events = [callback_events.with_results(event, fault.results) for event in events]
                    events = [callback_events.with_correlation(event, fault.correlation) for event in events]
                if fault is None:
                    await self._deliver(url, events)
                elif fault.drop:
                    self._call.note("callback_dropped", types=_types(events))
                elif fault.reorder:
                    late.create_task(self._deliver_late(url, events[::-1], fault))
                else:
                    await asyncio.sleep(fault.delay_s)
                    for _ in range(1 + fault.duplicates):
                        await self._deliver(url, events, fault.neighbours)

    async def _deliver_late(self, url: str, events: list[Json], fault: CallbackFault) -> None:
        await asyncio.sleep(fault.delay_s or _REORDER_S)
        for _ in range(1 + fault.duplicates):
            await self._deliver(url, events, fault.neighbours)

    async def _deliver(self, url: str, events: list[Json], neighbours: Sequence[object] = ()) -> None:
        settings = self._shared.settings
        outcome = ""
        for attempt in range(settings.callback_attempts):
            if attempt:
                await asyncio.sleep(settings.callback_retry_s * 2 ** (attempt - 1))
            outcome = await self._post(url, [*neighbours, *events])
            if outcome.startswith("2"):
                self._call.note("callback_sent", types=_types(events))
                return
            self._call.counters["callback_failures"] += 1
        self._call.note("callback_failed", types=_types(events), outcome=outcome)
        log.info("callback failed", extra={"call": self._call.id, "types": _types(events), "outcome": outcome})

    async def _post(self, url: str, events: list[object]) -> str:
        """Return the HTTP status as text, or the error."""
        settings = self._shared.settings
        token = self._shared.tokens.acs_token(datetime.now(UTC), settings.callback_token_s)
        try:
            async with self._shared.http.post(
                URL(url, encoded=True),
                json=events,
                headers={"Authorization": f"Bearer {token}"},
                timeout=aiohttp.ClientTimeout(total=settings.callback_timeout_s),
            ) as response:
                return str(response.status)
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            return f"{type(error).__name__}: {error}"


def _types(events: list[Json]) -> list[str]:
    return [str(event["type"]).rpartition(".")[2] for event in events]
