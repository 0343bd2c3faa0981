"""One stack for all end-to-end tests: three services, a Redis and the simulators as processes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from lab.stack import Ports, Stack, running
from lab.wire import call_json
from tests.support.span_receiver import SpanReceiver, receiving_spans


@pytest.fixture(scope="session")
def spans() -> Iterator[SpanReceiver]:
    """Receives the spans of the services. Tracing is enabled in all of these tests."""
    with receiving_spans() as receiver:
        yield receiver


@pytest.fixture(scope="session")
def whole_stack(tmp_path_factory: pytest.TempPathFactory, spans: SpanReceiver) -> Iterator[Stack]:
    traced = {"OTEL_EXPORTER_OTLP_ENDPOINT": spans.url, "OTEL_BSP_SCHEDULE_DELAY": "300"}
    extra = dict.fromkeys(("call-control", "media-gateway", "agent-relay"), traced)
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("REDIS_URL", raising=False)
        with running(Stack(Ports.free(), Path(tmp_path_factory.mktemp("stack")), extra)) as stack:
            yield stack


@pytest.fixture
def stack(whole_stack: Stack) -> Iterator[Stack]:
    """The stack without injected faults. Fails the test if a process of the stack has died."""
    yield whole_stack
    for simulator in ("acs", "voice-live"):
        call_json("DELETE", f"{whole_stack.url(simulator)}/lab/faults")
    _forget_refusals(whole_stack)
    assert [process.name for process in whole_stack.dead()] == []


def _forget_refusals(stack: Stack) -> None:
    """Delete the quota state in Redis, by which relays avoid a Voice Live resource for a while after an error. It must
    not affect the next test.
    """
    with Redis.from_url(stack.redis_url) as redis:
        for key in redis.scan_iter("quota:*"):
            redis.delete(key)
