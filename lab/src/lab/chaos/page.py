"""Generates the table of docs/resilience.md, between two markers, from stored results of `lab chaos`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

BEGIN: Final = "<!-- table -->"
END: Final = "<!-- end of table -->"
PAGE_PATH: Final = Path(__file__).parents[4] / "docs" / "resilience.md"
_HEAD: Final = "| fault | how | target | measured | gap p50 / p99 / max, ms | calls × runs | |"
_SHOWN_IF_MISSED: Final = ("foreign", "stale")
LABELS: Final = {
    "went_on_pct": ("calls that continue", "%"),
    "gap_p99_ms": ("gap p99", "ms"),
    "gap_max_ms": ("gap max", "ms"),
    "own_gap_p99_ms": ("gap without ACS's dialing, p99", "ms"),
    "refused_dials": ("dials refused", ""),
    "after_dial_p99_ms": ("first audio after ACS dialed, p99", "ms"),
    "after_report_p99_ms": ("first audio after ACS reported the loss, p99", "ms"),
    "starts_asked": ("requests to start media", ""),
    "gap_beyond_down_ms": ("gap beyond the downtime", "ms"),
    "silence_s": ("without any sound", "s"),
    "transferred_pct": ("transferred to human agents", "%"),
    "rung_in_vain_pct": ("transfers that nobody answered", "%"),
    "apologized_pct": ("heard the whole apology, then hung up by us", "%"),
    "apology_heard_pct": ("smallest part of the apology heard", "%"),
    "hung_up_after_s": ("hung up after the apology", "s"),
    "refused_429": ("connections refused with 429", ""),
    "most_connections": ("connections in a minute", ""),
    "diverted_s": ("diverted", "s"),
    "delay_p99_ms": ("frame delay p99", "ms"),
    "added_p99_ms": ("frame delay added compared to a sink, p99", "ms"),
    "repeated": ("frames heard twice", ""),
    "repeated_downlink": ("frames the caller heard twice", ""),
    "repeated_uplink": ("caller's frames that two voice sessions heard", ""),
    "lost_uplink": ("caller's frames that no voice session heard", ""),
    "late_max_ms": ("delay of speech at the end", "ms"),
    "lost": ("frames lost", ""),
    "lost_pct": ("frames lost", "%"),
    "owner_changes": ("calls that changed their relay", ""),
    "conversations_max": ("conversations of a call", ""),
    "sessions_max": ("voice sessions of a call", ""),
    "exit_s": ("exit", "s"),
    "zombie_s": ("sessions of the old relay closed", "s"),
    "self_fence_s": ("muted by itself", "s"),
    "commands_done_s": ("pending commands done", "s"),
    "answered_once_pct": ("answered exactly once", "%"),
    "answered_s": ("answered", "s"),
    "resumed_s": ("agent heard again", "s"),
    "noticed_s": ("detected", "s"),
    "killed": ("pods killed at the end of their grace period", ""),
    "orphaned_pct": ("calls of the dead relay", "%"),
    "ringing_pct": ("callers of the three that ring at the fault", "%"),
    "decided_pct": ("ringing and later callers answered or diverted", "%"),
    "late_silence_s": ("these callers without any sound", "s"),
    "backward_states": ("status changes backward", ""),
    "admitted": ("calls admitted", ""),
    "diverted": ("calls diverted", ""),
    "diverted_after_answer": ("diverted after the answer", ""),
    "attackers_closed_s": ("attackers closed", "s"),
    "memory_mb": ("memory added", "MB"),
    "rss_mb": ("memory", "MB"),
    "ready_s": ("slowest response of `/readyz`", "s"),
    "tasks_growth": ("tasks added", ""),
    "memory_growth_pct_worst": ("memory grown", "%"),
    "files_growth_worst": ("file descriptors added", ""),
    "tasks_growth_worst": ("tasks added", ""),
    "keys_growth_worst": ("keys added", ""),
    "keys_left": ("keys left", ""),
    "actions_lost": ("actions lost", ""),
    "actions_doubled": ("actions doubled", ""),
    "actions_done_pct": ("actions done", "%"),
    "hung_up_pct": ("calls hung up as requested", "%"),
    "kept_pct": ("other acting calls that continue", "%"),
    "goodbyes_whole_pct": ("goodbyes heard whole", "%"),
    "announcement_heard_pct": ("smallest part of an announcement heard", "%"),
    "goodbyes_cut": ("goodbyes cut by the time limit", ""),
    "left_alone": ("people left alone in a call", ""),
    "invited_twice": ("surplus invitations and outcomes", ""),
    "not_ended": ("calls that continue after the caller hung up", ""),
    "outcomes_open": ("actions without an outcome", ""),
    "outcomes_untrue": ("outcomes that contradict ACS", ""),
    "intended_pct": ("calls with the intended result", "%"),
    "disturbed": ("conversations of people disturbed by a tone", ""),
    "closing_s": ("from the request to the hang-up", "s"),
}
_SIGNS: Final = {"<=": "≤", ">=": "≥", "==": "="}


def with_table(page: str, rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the page with a new table. Raises `ValueError` if the markers are missing."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the markers {BEGIN} and {END} are missing in the page; add them where the table belongs")
    return f"{before}{BEGIN}\n{_table(rows)}\n{END}{after}"


def _table(rows: Sequence[Mapping[str, Any]]) -> str:
    rule = "|" + " --- |" * (_HEAD.count("|") - 1)
    return "\n".join([_measured_on(rows), "", _HEAD, rule, *(_line(row) for row in rows)])


def _measured_on(rows: Sequence[Mapping[str, Any]]) -> str:
    """Describe the machines and the dates of the measurements; they may differ between rows."""
    machines = sorted({f"{row['machine']['cores']} cores, Python {row['machine']['python']}" for row in rows})
    days = sorted(str(row["measured_at"])[:10] for row in rows)
    return f"Measured on {' and '.join(machines)}; {' to '.join(dict.fromkeys((days[0], days[-1])))}."


def _line(row: Mapping[str, Any]) -> str:
    fault, _, how = str(row["fault"]).partition(": ")
    targets = list(_targets(row))
    gaps = " / ".join(_number(row["figures"].get(f"gap_{name}_ms", "–")) for name in ("p50", "p99", "max"))
    verdict = "passed" if row["passed"] else "**missed**" + (f": {row['failure']}" if row["failure"] else "")
    cells = [
        f"`{row['row']}` {fault}",
        how,
        "<br>".join(target for target, _ in targets),
        "<br>".join(measured for _, measured in targets),
        gaps,
        f"{row['calls']} × {row['repeats']}",
        verdict,
    ]
    return f"| {' | '.join(cells)} |"


def _targets(row: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Return each target with its measured value, in bold if missed."""
    for target in row["targets"]:
        figure, compare, limit = str(target["target"]).split()
        if figure in _SHOWN_IF_MISSED and target["holds"]:
            continue
        words, unit = LABELS.get(figure, (figure, ""))
        measured = _with_unit(_number(row["figures"].get(figure, "–")), unit)
        yield (
            f"{words} {_SIGNS[compare]} {_with_unit(_number(float(limit)), unit)}",
            measured if target["holds"] else f"**{measured}**",
        )


def _number(value: Any) -> str:
    if not isinstance(value, int | float):
        return str(value)
    return f"{value:.0f}" if value == int(value) or abs(value) >= 10 else f"{value:.2g}"


def _with_unit(number: str, unit: str) -> str:
    return f"{number} {unit}".strip()
