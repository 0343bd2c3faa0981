"""Converts scraped metrics into one text in the OpenMetrics format, with the time of each sample.

`promtool tsdb create-blocks-from openmetrics` turns such a text into blocks of Prometheus.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Final, TypeAlias

RECORDED: Final = ("bridge_", "process_")
"""Prefixes of the recorded metrics. Those of the Python runtime are left out."""
_TYPE: Final = re.compile(r"^# TYPE (\S+) (\S+)$")
_SAMPLE: Final = re.compile(r"^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$")
_LE: Final = re.compile(r'\ble="[^"]*",?')
_OF_HISTOGRAMS: Final = ("_bucket", "_count", "_sum")

Labels: TypeAlias = Mapping[str, str]


@dataclass(slots=True)
class _Family:
    kind: str
    series: dict[str, list[tuple[float, str]]] = field(default_factory=dict)
    """`name{labels}` → its samples: (Unix seconds, value)."""


@dataclass(slots=True)
class SampleBook:
    """The samples of one recording, by family and series, as the format requires: series of a family must not be
    interleaved, and their times must grow.
    """

    families: dict[str, _Family] = field(default_factory=dict)

    def add(self, text: str, at_s: float, labels: Labels) -> None:
        """Add one response of /metrics. `at_s`: time of the scrape in Unix seconds. `labels`: those that Prometheus
        adds for the target, such as `instance`.
        """
        kinds: dict[str, str] = {}
        for line in text.splitlines():
            if declared := _TYPE.match(line):
                kinds[declared[1]] = declared[2]
            elif sample := _SAMPLE.match(line):
                name, own, value = sample.groups()
                family = _family_of(name, kinds)
                if name.startswith(RECORDED) and not _is_creation_time(name, kinds):
                    self._append(family, kinds.get(family, "unknown"), _series(name, own or "", labels), at_s, value)

    def add_up(self, at_s: float, labels: Labels, *, up: bool) -> None:
        """Add the sample that Prometheus itself stores for each scrape."""
        self._append("up", "gauge", _series("up", "", labels), at_s, str(int(up)))

    def text(self) -> str:
        """Return the recording. Names of counters lose `_total` in their `# TYPE` line, as OpenMetrics requires."""
        lines: list[str] = []
        for name, family in sorted(self.families.items()):
            lines.append(f"# TYPE {name.removesuffix('_total') if family.kind == 'counter' else name} {family.kind}")
            for group in _groups(family).values():
                rows = [
                    (at_s, f"{series} {value} {at_s:.3f}") for series in group for at_s, value in family.series[series]
                ]
                lines += [row for _, row in sorted(rows, key=itemgetter(0))]
        return "\n".join([*lines, "# EOF"]) + "\n"

    def _append(self, family: str, kind: str, series: str, at_s: float, value: str) -> None:
        self.families.setdefault(family, _Family(kind)).series.setdefault(series, []).append((at_s, value))


def _groups(family: _Family) -> Mapping[str, list[str]]:
    """Return the series that must be together at each time: those of one histogram, or a single series."""
    groups: dict[str, list[str]] = {}
    for series in family.series:
        own = _LE.sub("", series.partition("{")[2]) if family.kind == "histogram" else series
        groups.setdefault(own, []).append(series)
    return groups


def _family_of(name: str, kinds: Mapping[str, str]) -> str:
    for suffix in _OF_HISTOGRAMS:
        if kinds.get(name.removesuffix(suffix)) in ("histogram", "summary"):
            return name.removesuffix(suffix)
    return name


def _is_creation_time(name: str, kinds: Mapping[str, str]) -> bool:
    """Whether the sample is the creation time that prometheus-client exports beside each counter and histogram."""
    base = name.removesuffix("_created")
    return base != name and (base in kinds or f"{base}_total" in kinds)


def _series(name: str, own: str, labels: Labels) -> str:
    parts = [own.rstrip(","), *(f'{label}="{value}"' for label, value in labels.items())]
    return f"{name}{{{','.join(filter(None, parts))}}}"
