"""Service level objectives and their burn-rate alerts.

An objective is a share of good events over 30 days; the rest is its error budget. A burn rate of 1 spends the budget
in exactly 30 days. Windows and rates are those of "The Site Reliability Workbook", chapter 5, table 5-8: each alert
needs a long window, so that it is significant, and a short one, so that it ends soon after the fault.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from observability.rule import Rule, Severity, alert, text

LEAST_BAD: Final = 5
"""Bad events in the long window below which nobody is notified: at night a single call may be all traffic."""
BAD: Final = "voice_bridge:slo_bad:increase"
EVENTS: Final = "voice_bridge:slo_events:increase"
_SLOW_GROUP: Final = "5m"

FAILED: Final = "|".join(
    (
        *("no_capacity", "no_voice", "voice_lost", "media_lost", "never_connected", "ring_expired", "not_transferred"),
        *("acs_refused", "acs_auth", "acs_throttled", "acs_unavailable", "AnswerFailed", "MediaStreamingFailed"),
    )
)
"""End reasons of calls that we did not answer, or did not serve to their end."""
_NOT_FOR_THE_AGENT: Final = "rejected|redirected|over_limit|on_behalf_of_callee|acs_stale_context|acs_gone"
"""End reasons of calls that the policy or a limit sent elsewhere, or whose caller gave up before the answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slo:
    """`bad` and `events`: expressions with `WINDOW` in place of the range; `objective`: share of good events."""

    name: str
    objective: float
    bad: str
    events: str
    alert: str
    summary: str


@dataclass(frozen=True, slots=True)
class Burn:
    long: str
    short: str
    rate: float


FAST: Final = (Burn("1h", "5m", 14.4), Burn("6h", "30m", 6.0))
"""2 % of the budget in an hour, or 5 % in six hours: wake somebody."""
SLOW: Final = (Burn("3d", "6h", 1.0),)
"""10 % of the budget in three days: during working hours."""
_WINDOWS: Final = {"slo": ("5m", "30m", "1h", "6h"), "slo-long": ("3d",)}

_SILENT: Final = (
    '(sum(increase(bridge_gap_seconds_count{direction="out"}[WINDOW]))'
    ' - sum(increase(bridge_gap_seconds_bucket{direction="out", le="1.0"}[WINDOW])) or vector(0))'
    ' + (sum(increase(bridge_relay_overdue_speech_total{outcome=~"fallback|given_up"}[WINDOW])) or vector(0))'
)
"""Gaps of more than a second within a response, and responses that were replaced or given up. Either may have no
series yet.
"""
SLOS: Final = (
    Slo(
        name="calls-answered",
        objective=0.999,
        bad=f'sum(increase(bridge_calls_ended_total{{reason=~"{FAILED}"}}[WINDOW]))',
        events=f'sum(increase(bridge_calls_ended_total{{reason!~"{_NOT_FOR_THE_AGENT}"}}[WINDOW]))',
        alert="CallsNotAnswered",
        summary="{{ $value | humanizePercentage }} of the callers are not answered or are cut off",
    ),
    Slo(
        name="first-audio",
        objective=0.99,
        bad='sum(increase(bridge_answer_seconds_count{until="media"}[WINDOW]))'
        ' - sum(increase(bridge_answer_seconds_bucket{until="media", le="5.0"}[WINDOW]))',
        events='sum(increase(bridge_answer_seconds_count{until="media"}[WINDOW]))',
        alert="FirstAudioLate",
        summary="{{ $value | humanizePercentage }} of the answered callers wait more than 5 s for the agent",
    ),
    Slo(
        name="silence",
        objective=0.995,
        bad=_SILENT,
        events=f'(sum(increase(bridge_relay_turns_total{{role="agent"}}[WINDOW])) or vector(0)) + {_SILENT}',
        alert="SilenceInCalls",
        summary="{{ $value | humanizePercentage }} of the agent's turns have a second of silence or no answer",
    ),
    Slo(
        name="agent-latency",
        objective=0.95,
        bad="sum(increase(bridge_relay_first_frame_seconds_count[WINDOW]))"
        ' - sum(increase(bridge_relay_first_frame_seconds_bucket{le="2.0"}[WINDOW]))',
        events="sum(increase(bridge_relay_first_frame_seconds_count[WINDOW]))",
        alert="AgentSlow",
        summary="{{ $value | humanizePercentage }} of the responses begin more than 2 s after the caller's last word",
    ),
)


def groups() -> Iterator[dict[str, Any]]:
    """Return the rule groups. The three-day window is evaluated less often, because it reads many samples."""
    for name, windows in _WINDOWS.items():
        rules = [rule for slo in SLOS for window in windows for rule in _recorded(slo, window)]
        yield {
            "name": f"voice-bridge-{name}",
            **({"interval": _SLOW_GROUP} if "3d" in windows else {}),
            "rules": rules,
        }
    yield {"name": "voice-bridge-slo-alerts", "rules": [rule for slo in SLOS for rule in _alerts(slo)]}


def _recorded(slo: Slo, window: str) -> Iterator[Rule]:
    for record, expression in ((BAD, slo.bad), (EVENTS, slo.events)):
        yield {"record": record + window, "labels": {"slo": slo.name}, "expr": expression.replace("WINDOW", window)}


def _alerts(slo: Slo) -> Iterator[Rule]:
    speeds: tuple[tuple[str, tuple[Burn, ...], Severity], ...] = (("Fast", FAST, "page"), ("Slow", SLOW, "ticket"))
    for speed, burns, severity in speeds:
        yield alert(
            f"{slo.alert}{speed}",
            " or ".join(_burning(slo, burn) for burn in burns),
            severity,
            slo.summary,
            runbook=slo.alert,
            slo=slo.name,
        )


def _burning(slo: Slo, burn: Burn) -> str:
    budget = burn.rate * (1 - slo.objective)
    ratio = {window: f"{_of(BAD, window, slo)} / {_of(EVENTS, window, slo)}" for window in (burn.long, burn.short)}
    return text(
        f"({ratio[burn.long]} > {budget:.6g}"
        f" and {ratio[burn.short]} > {budget:.6g}"
        f" and {_of(BAD, burn.long, slo)} >= {LEAST_BAD})"
    )


def _of(record: str, window: str, slo: Slo) -> str:
    return f'{record}{window}{{slo="{slo.name}"}}'
