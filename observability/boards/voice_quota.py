"""Connections of each Voice Live resource against its quota, and what happens when it is used up."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.builders import dashboard

from observability.panels import board, lines, quantiles, rate

_LEFT: Final = 'max by (resource) (bridge_voice_quota_connections{kind="free"})'
_USED: Final = f'1 - {_LEFT} / max by (resource) (bridge_voice_quota_connections{{kind="limit"}})'


def voice_quota() -> dashboard.Dashboard:
    return (
        board("voice-bridge-quota", "Voice bridge: Voice Live", "Quota and sessions of each Voice Live resource.")
        .with_row(dashboard.Row("Quota by resource"))
        .with_panel(
            lines(
                "Connections left",
                "New connections that a running call may open now. Alert: VoiceQuotaLow.",
                (_LEFT, "resource {{resource}}"),
                width=12,
            )
        )
        .with_panel(
            lines(
                "Quota used",
                "Share of the connections per minute.",
                (
                    _USED,
                    "resource {{resource}}",
                ),
                unit="percentunit",
                width=12,
            )
        )
        .with_panel(
            lines(
                "Waits for a connection, per minute",
                "By urgency: running calls, new calls, background. Alert: VoiceQuotaWaits.",
                rate("bridge_relay_quota_waits_total", "urgency"),
                unit="cpm",
                width=12,
            )
        )
        .with_panel(
            lines(
                "Pauses of a resource, per minute",
                "After 429 or 503, or because access was denied. Alert: VoiceResourcePaused.",
                (
                    "sum by (resource, status) (rate(bridge_relay_resource_pauses_total[$__rate_interval])) * 60",
                    "{{resource}} {{status}}",
                ),
                unit="cpm",
                width=12,
            )
        )
        .with_row(dashboard.Row("Sessions"))
        .with_panel(
            lines(
                "Sessions by result, per minute",
                "Alert: VoiceSessionsRefused.",
                rate("bridge_relay_voice_sessions_total", "result"),
                unit="cpm",
                stacked=True,
            )
        )
        .with_panel(
            lines(
                "Sessions lost, per minute",
                "Each is followed by a reconnect. Alert: VoiceSessionsLost.",
                rate("bridge_relay_voice_sessions_lost_total"),
                unit="cpm",
            )
        )
        .with_panel(
            lines(
                "Session setup, p95",
                "From the handshake to the configured session.",
                quantiles("bridge_relay_session_setup_seconds", "kind")[1],
                unit="s",
            )
        )
        .with_panel(
            lines("Warm sessions", "Sessions that wait for a call.", ("sum(bridge_relay_warm_sessions)", "warm"))
        )
        .with_panel(
            lines(
                "Time to the first audio of Voice Live",
                "From the caller's last word to the first audio that arrives; the rest of the response time is ours.",
                *quantiles("bridge_relay_first_delta_seconds"),
                unit="s",
                exemplars=True,
            )
        )
        .with_panel(
            lines(
                "Failed token requests, per minute",
                "By scope. Alert: TokenRequestsFailing.",
                rate("bridge_token_failures_total", "scope"),
                unit="cpm",
            )
        )
    )
