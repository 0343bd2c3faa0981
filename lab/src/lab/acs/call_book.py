"""All calls of one simulator."""

from __future__ import annotations

from lab.acs.calls import SimulatedCall


class CallBook:
    """Calls by id, connection id and incoming-call context. When there are more than `keep` calls, the oldest ended one
    is dropped.
    """

    def __init__(self, keep: int = 1000) -> None:
        self._keep = keep
        self._by_id: dict[str, SimulatedCall] = {}
        self._by_connection: dict[str, SimulatedCall] = {}
        self._by_context: dict[str, SimulatedCall] = {}

    def add(self, call: SimulatedCall) -> None:
        self._by_id[call.id] = call
        self._by_connection[call.connection_id] = call
        self._by_context[call.context] = call
        if len(self._by_id) > self._keep:
            self._forget()

    def by_id(self, call_id: str) -> SimulatedCall | None:
        return self._by_id.get(call_id)

    def by_connection(self, connection_id: str) -> SimulatedCall | None:
        return self._by_connection.get(connection_id)

    def by_context(self, context: str) -> SimulatedCall | None:
        return self._by_context.get(context)

    def all(self) -> list[SimulatedCall]:
        return list(self._by_id.values())

    def _forget(self) -> None:
        oldest = next((call for call in self._by_id.values() if call.ended.is_set()), None)
        if oldest is not None:
            del self._by_id[oldest.id]
            del self._by_connection[oldest.connection_id]
            del self._by_context[oldest.context]
