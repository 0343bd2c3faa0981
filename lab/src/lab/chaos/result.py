"""The figures of a row over all its repetitions, the verdict and the printed line. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from lab.chaos.call_evidence import CallOutcome, DirectionTrace
from lab.chaos.row import ChaosRow, Facts, FaultTarget
from lab.mark_report import percentile

_COUNTS: Final = ("lost", "repeated", "disordered", "foreign", "stale")
_COLUMNS: Final = (
    *(("calls", "calls", 6), ("went_on_pct", "up %", 6), ("gap_p50_ms", "gap p50", 8), ("gap_p99_ms", "p99", 7)),
    *(("gap_max_ms", "max", 7), ("own_gap_p99_ms", "own p99", 8), ("lost_pct", "lost %", 7), ("repeated", "twice", 6)),
    *(("disordered", "order", 6), ("stale", "stale", 6), ("foreign", "foreign", 8)),
)


@dataclass(slots=True)
class RowResult:
    """The measurements of a row. `failure` is the reason why the row could not be completed."""

    row: ChaosRow
    repeats: int = 0
    outcomes: list[CallOutcome] = field(default_factory=list)
    placed: int = 0
    facts: Facts = field(default_factory=dict)
    failure: str = ""
    took_s: float = 0.0

    def add(self, outcomes: Iterable[CallOutcome], placed: int, facts: Facts) -> None:
        """Add one repetition. The worst value of each fact counts: the smallest one of shares, the largest one of
        others.
        """
        self.repeats += 1
        self.outcomes += outcomes
        self.placed += placed
        for name, value in facts.items():
            worse = min if name.endswith("_pct") else max
            self.facts[name] = worse(self.facts[name], value) if name in self.facts else value

    def figures(self) -> Facts:
        """Return the figures. Gap figures are statistics over the longest gap of each call and direction."""
        both = [way for call in self.outcomes for way in (call.uplink, call.downlink)]
        found = {
            "calls": float(self.placed),
            "went_on_pct": _share(sum(call.went_on for call in self.outcomes), self.placed),
            **_gaps("gap", [way.gap_ms for way in both]),
            **_gaps("own_gap", [way.own_gap_ms for way in both]),
            **_gaps("uplink_gap", [call.uplink.gap_ms for call in self.outcomes]),
            **_gaps("downlink_gap", [call.downlink.gap_ms for call in self.outcomes]),
            **{name: float(sum(getattr(way, name) for way in both)) for name in _COUNTS},
            "lost_pct": _share(sum(way.lost for way in both), sum(way.sent for way in both)),
            "lost_uplink": float(sum(call.uplink.lost for call in self.outcomes)),
            "repeated_uplink": float(sum(call.uplink.repeated for call in self.outcomes)),
            "repeated_downlink": float(sum(call.downlink.repeated for call in self.outcomes)),
            "delay_p99_ms": percentile((ms for way in both for ms in way.delays_ms), 0.99),
            "late_max_ms": max((way.late_ms for way in both), default=0.0),
            "sessions_max": float(max((call.sessions for call in self.outcomes), default=0)),
            "conversations_max": float(max((call.conversations for call in self.outcomes), default=0)),
            "refused_dials": float(sum(call.refused_dials for call in self.outcomes)),
            **self.facts,
        }
        if after_dial := [way.after_dial_ms for way in both if way.after_dial_ms is not None]:
            found["after_dial_p99_ms"] = percentile(after_dial, 0.99)
        if after_report := [way.after_report_ms for way in both if way.after_report_ms is not None]:
            found["after_report_p99_ms"] = percentile(after_report, 0.99)
        if "down_s" in self.facts:
            found["gap_beyond_down_ms"] = found["gap_max_ms"] - self.facts["down_s"] * 1000
        return found

    def missed(self) -> list[FaultTarget]:
        figures = self.figures()
        return [target for target in self.row.targets if not target.holds(figures)]

    @property
    def passed(self) -> bool:
        return not self.failure and self.repeats > 0 and not self.missed()

    def as_json(self) -> dict[str, Any]:
        figures = self.figures()
        return {
            "row": self.row.name,
            "fault": self.row.fault,
            "calls": self.placed // max(self.repeats, 1) + int(self.facts.get("acting_calls", 0)),
            "repeats": self.repeats,
            "took_s": round(self.took_s, 1),
            "passed": self.passed,
            "failure": self.failure,
            "figures": {name: _finite(value) for name, value in figures.items()},
            "targets": [{"target": str(target), "holds": target.holds(figures)} for target in self.row.targets],
            "worst": [_summary(call) for call in self.worst()],
        }

    def worst(self, count: int = 3) -> Sequence[CallOutcome]:
        """Return the calls to examine first: those that did not continue, then those with the longest gaps."""
        ordered = sorted(self.outcomes, key=lambda call: (call.went_on, -max(call.uplink.gap_ms, call.downlink.gap_ms)))
        return ordered[:count]


def head() -> str:
    return f"{'':<23}{'runs':>5}" + "".join(f"{title:>{width}}" for _, title, width in _COLUMNS) + "  verdict"


def line(result: RowResult) -> str:
    """Return the row as text: its figures, then the missed targets with their measured values."""
    figures = result.figures()
    cells = "".join(f"{_cell(figures[name]):>{width}}" for name, _, width in _COLUMNS)
    facts = ", ".join(f"{name} {_cell(value)}" for name, value in sorted(result.facts.items()))
    missed = "; ".join(f"{target} (is {_cell(figures.get(target.figure))})" for target in result.missed())
    verdict = "passed" if result.passed else f"MISSED {missed}{result.failure}"
    return f"{result.row.name:<23}{result.repeats:>5}{cells}  {verdict}" + (f"  [{facts}]" if facts else "")


def _gaps(name: str, values: Sequence[float]) -> Facts:
    return {
        f"{name}_p50_ms": percentile(values, 0.5),
        f"{name}_p99_ms": percentile(values, 0.99),
        f"{name}_max_ms": max(values, default=0.0),
    }


def _share(part: float, whole: float) -> float:
    return 100.0 * part / whole if whole else 0.0


def _cell(value: float | None) -> str:
    if value is None:
        return "–"
    if abs(value) == float("inf"):
        return "never"
    return f"{value:.0f}" if value == int(value) or abs(value) >= 100 else f"{value:.2f}"


def _finite(value: float) -> float | str:
    return round(value, 2) if abs(value) < float("inf") else "never"


def _summary(call: CallOutcome) -> dict[str, Any]:
    def way(one: DirectionTrace) -> dict[str, float]:
        names = ("went_on", "gap_ms", "own_gap_ms", "gap_at_s", "late_ms", *_COUNTS)
        return {name: round(float(getattr(one, name)), 1) for name in names}

    return {
        "number": call.number,
        "connected": call.connected,
        "sessions": call.sessions,
        "uplink": way(call.uplink),
        "downlink": way(call.downlink),
    }
