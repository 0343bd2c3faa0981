"""Records the metrics of running services, as a Prometheus server beside them would."""

from __future__ import annotations

import gzip
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from lab.open_metrics import SampleBook
from lab.stack import SERVICES, Stack

EVERY_S: Final = 5.0
_TIMEOUT_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class ScrapeTarget:
    service: str
    pod: str
    """Name of the process; on Kubernetes that of the pod."""
    port: int

    @property
    def labels(self) -> dict[str, str]:
        return {"job": self.service, "pod": self.pod, "instance": self.pod}


def targets_of(stack: Stack) -> list[ScrapeTarget]:
    """Return the processes of the services that the stack has started and not removed."""
    found = [(process.name, process.port) for process in list(stack.processes) if process.popen is not None]
    return [
        ScrapeTarget(service, name, port)
        for name, port in found
        for service in SERVICES
        if name == service or (name.startswith(f"{service}-") and name.removeprefix(f"{service}-").isdigit())
    ]


@dataclass(slots=True)
class MetricRecorder:
    """Scrapes all processes every `every_s` seconds while the context `watching` is open."""

    every_s: float = EVERY_S
    book: SampleBook = field(default_factory=SampleBook)

    @contextmanager
    def watching(self, targets: Callable[[], Sequence[ScrapeTarget]]) -> Iterator[None]:
        """Record until the context ends. `targets` is called before each scrape, because processes come and go. The
        first scrape is complete when the context begins, so that later growth of a counter is seen.
        """
        self.scrape(targets())
        ended = threading.Event()
        thread = threading.Thread(target=self._scrape_until, args=(targets, ended), name="metric recorder")
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def write(self, path: Path) -> None:
        """Write the recording; compressed if the name ends with `.gz`."""
        path.parent.mkdir(parents=True, exist_ok=True)
        content = self.book.text().encode()
        path.write_bytes(gzip.compress(content, mtime=0) if path.suffix == ".gz" else content)

    def scrape(self, targets: Sequence[ScrapeTarget]) -> None:
        """Add one sample of each series. All have the same time, so that queries over several processes agree."""
        at_s = time.time()
        for target in targets:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{target.port}/metrics", timeout=_TIMEOUT_S) as reply:
                    self.book.add(reply.read().decode(), at_s, target.labels)
            except (OSError, ValueError):
                self.book.add_up(at_s, target.labels, up=False)
            else:
                self.book.add_up(at_s, target.labels, up=True)

    def _scrape_until(self, targets: Callable[[], Sequence[ScrapeTarget]], ended: threading.Event) -> None:
        due = time.monotonic() + self.every_s
        while not ended.wait(max(0.0, due - time.monotonic())):
            self.scrape(targets())
            due = max(due + self.every_s, time.monotonic())
