"""Records the spans of this process instead of exporting them, and measures the growth of its metrics."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client.openmetrics.parser import text_string_to_metric_families

from bridge_common.observability import tracing
from bridge_common.observability.telemetry import REGISTRY, render
from bridge_common.observability.tracing import Begun, Span

TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
TRACEPARENT = f"00-{TRACE_ID}-b7ad6b7169203331-01"


class RecordedSpans:
    def __init__(self) -> None:
        self.spans: list[tuple[str, Span]] = []
        self.stopped = False

    def begin(self, span: Span) -> Begun:
        return Begun(TRACEPARENT, lambda: self.spans.append(("", span)))

    def export(self, traceparent: str, span: Span) -> None:
        self.spans.append((traceparent, span))

    def stop(self) -> None:
        self.stopped = True

    def names(self) -> list[str]:
        return [span.name for _, span in self.spans]

    def of(self, name: str) -> Span:
        [span] = [span for _, span in self.spans if span.name == name]
        return span


@contextmanager
def telling() -> Iterator[RecordedSpans]:
    spans = RecordedSpans()
    tracing.use(spans)
    try:
        yield spans
    finally:
        tracing.use(None)


def exemplars_of(*histograms: str) -> dict[str, set[str]]:
    """Return the trace ids of the exemplars of each histogram, as a client of OpenMetrics reads them."""
    text = render("application/openmetrics-text;version=1.0.0")[0].decode()
    return {
        family.name: {sample.exemplar.labels["trace_id"] for sample in family.samples if sample.exemplar}
        for family in text_string_to_metric_families(text)  # type: ignore[no-untyped-call]  # the library leaves it bare
        if family.name in histograms
    }


class Growth:
    """The increase of the metric samples of this process since the object was created."""

    def __init__(self) -> None:
        self._before = self._samples()

    def __call__(self, sample: str) -> float:
        """Return the increase of one sample. `sample` in the format of Prometheus: `name{label="value"}`."""
        return self._samples().get(sample, 0.0) - self._before.get(sample, 0.0)

    def _samples(self) -> dict[str, float]:
        found: dict[str, float] = {}
        for family in REGISTRY.collect():
            for one in family.samples:
                labels = ",".join(f'{name}="{value}"' for name, value in one.labels.items())
                found[one.name + (f"{{{labels}}}" if labels else "")] = one.value
        return found
