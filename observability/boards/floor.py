"""Calls now, how they were answered, how they ended, and what callers wait for."""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard

from observability.panels import board, lines, number, quantiles, rate
from observability.slos import FAILED


def floor() -> dashboard.Dashboard:
    ended, failed = "bridge_calls_ended_total", f'{{reason=~"{FAILED}"}}'
    return (
        board("voice-bridge-floor", "Voice bridge: floor", "Calls of the whole fleet, as callers notice them.")
        .with_row(dashboard.Row("Now"))
        .with_panel(number("Calls", "Calls that relays handle.", 'sum(bridge_active_calls{job="agent-relay"})'))
        .with_panel(
            number("Ringing", "Calls that are not answered yet, in the whole fleet.", "max(bridge_fleet_ringing_calls)")
        )
        .with_panel(
            number(
                "Answered, last hour",
                "Calls that were connected.",
                'round(sum(increase(bridge_calls_total{status="connected"}[1h])))',
            )
        )
        .with_panel(
            number(
                "Not served, last hour",
                "Calls that were not answered, or were cut off by a fault. Alert: CallsNotAnswered.",
                f"round(sum(increase({ended}{failed}[1h]))) or vector(0)",
                limits=[(1, "orange"), (10, "red")],
            )
        )
        .with_panel(
            number(
                "Relays full",
                "Share of the capacity of all relays.",
                'max(bridge_fleet_calls{kind="agent-relay"}) / max(bridge_fleet_capacity_calls{kind="agent-relay"})',
                unit="percentunit",
                limits=[(0.7, "orange"), (0.85, "red")],
            )
        )
        .with_panel(
            number(
                "Response, p95",
                "From the caller's last word to the first audio of the agent. Alert: AgentSlow.",
                # Without responses the quantile is NaN, which the comparison removes.
                "histogram_quantile(0.95, sum by (le) (rate(bridge_relay_first_frame_seconds_bucket[5m]))) >= 0",
                unit="s",
                limits=[(1.5, "orange"), (2, "red")],
            )
        )
        .with_row(dashboard.Row("Calls"))
        .with_panel(
            lines(
                "Calls now",
                "Calls by service. A call has one gateway and one relay; differences last for seconds.",
                ('sum by (job) (bridge_active_calls{job=~"agent-relay|media-gateway"})', "{{job}}"),
            )
        )
        .with_panel(
            lines("Status reached, per minute", "How far calls get.", rate("bridge_calls_total", "status"), unit="cpm")
        )
        .with_panel(
            lines(
                "Ended by reason, per minute",
                "docs/api.md explains the reasons.",
                rate(ended, "reason", counted_only=True),
                unit="cpm",
                stacked=True,
            )
        )
        .with_panel(
            lines(
                "Routing, per minute",
                "Actions of the routing policy.",
                rate("bridge_calls_routed_total", "action"),
                unit="cpm",
                stacked=True,
            )
        )
        .with_panel(
            lines(
                "Transfers by outcome, per minute",
                "Transfers that operators and agents requested.",
                rate("bridge_transfers_total", "outcome", counted_only=True),
                unit="cpm",
                stacked=True,
            )
        )
        .with_panel(
            lines("Handled time", "From connected to the end of a call.", *quantiles("bridge_call_seconds"), unit="s")
        )
        .with_row(dashboard.Row("What callers wait for"))
        .with_panel(
            lines(
                "From the ring",
                "To the answer request, to connected, and to the first media socket (p95). Alert: FirstAudioLate.",
                quantiles("bridge_answer_seconds", "until")[1],
                unit="s",
                exemplars=True,
            )
        )
        .with_panel(
            lines(
                "Response of the agent",
                "From the caller's last word to the first audio of the response, as sent to ACS.",
                *quantiles("bridge_relay_first_frame_seconds"),
                unit="s",
                exemplars=True,
            )
        )
        .with_panel(
            lines(
                "Barge-in",
                "From the caller's first word, as Voice Live reports it, to StopAudio.",
                *quantiles("bridge_barge_in_seconds"),
                unit="s",
            )
        )
        .with_panel(
            lines(
                "Gaps in the audio, p95",
                "in: pauses in the audio from ACS; out: silence within a response. Alert: SilenceInCalls.",
                quantiles("bridge_gap_seconds", "direction")[1],
                unit="s",
            )
        )
        .with_panel(
            lines(
                "Overdue speech, per minute",
                "Agent speech that was late or failed, by what followed.",
                rate("bridge_relay_overdue_speech_total", "outcome"),
                unit="cpm",
                stacked=True,
            )
        )
        .with_panel(
            lines(
                "Calls with an audio fault, per minute",
                "One-way, silent or clipped audio. Alerts: OneWayAudio, AgentNotHeard, CallerAudioBad.",
                rate("bridge_audio_faults_total", "kind"),
                unit="cpm",
                stacked=True,
            )
        )
    )
