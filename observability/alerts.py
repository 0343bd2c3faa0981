"""Alerts beside the objectives: faults that callers notice soon, or that somebody has to correct.

`page`: callers notice it now, and a person can do something. `ticket`: during working hours. Counts are those of the
whole fleet; a limit on a count keeps single events from notifying anybody.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from observability.rule import Rule, alert

_SERVICES: Final = "call-control|media-gateway|agent-relay"
_PRESENT: Final = {
    "call-control": "bridge_inbox_waiting",
    "media-gateway": "bridge_gateway_clears_total",
    "agent-relay": "bridge_relay_warm_sessions",
}
"""A metric that only this service has. It exists from the start of the process."""
CALLS_PER_PROCESS: Final = {"media-gateway": 80, "agent-relay": 40}
"""The autoscalers' targets in k8s/components; a test compares them."""
_SCALED: Final = {"media-gateway": "Gateways", "agent-relay": "Relays"}


def groups() -> Iterator[dict[str, Any]]:
    for name, rules in (
        ("capacity", _capacity()),
        ("voice-live", _voice_live()),
        ("redis", _redis()),
        ("azure", _azure()),
        ("fleet", _fleet()),
        ("audio", _audio()),
    ):
        yield {"name": f"voice-bridge-{name}", "rules": list(rules)}


def _capacity() -> Iterator[Rule]:
    yield alert(
        "CallsRefusedNoCapacity",
        'sum(increase(bridge_calls_ended_total{reason="no_capacity"}[5m])) >= 5',
        "page",
        "{{ $value | humanize }} callers in 5 minutes found no relay with room, or no connection to Voice Live",
    )
    yield alert(
        "CapacityAlmostUsed",
        "max by (kind) (bridge_fleet_calls) / max by (kind) (bridge_fleet_capacity_calls) > 0.85",
        "ticket",
        "{{ $value | humanizePercentage }} of the capacity of {{ $labels.kind }} is used",
        lasting="10m",
    )
    for kind, calls in CALLS_PER_PROCESS.items():
        yield alert(
            f"{_SCALED[kind]}NotAdded",
            f"""max(bridge_fleet_calls{{kind="{kind}"}})
            / max(bridge_fleet_processes{{kind="{kind}", state="live"}}) > {1.5 * calls:g}""",
            "ticket",
            f"{{{{ $value | humanize }}}} calls per {kind}; the autoscaler should keep {calls}",
            lasting="15m",
        )


def _voice_live() -> Iterator[Rule]:
    yield alert(
        "VoiceSessionsRefused",
        """sum(increase(bridge_relay_voice_sessions_total{result="refused"}[5m]))
        / sum(increase(bridge_relay_voice_sessions_total[5m])) > 0.2
        and sum(increase(bridge_relay_voice_sessions_total{result="refused"}[5m])) >= 5""",
        "page",
        "{{ $value | humanizePercentage }} of the new voice sessions could not be opened",
        lasting="2m",
    )
    yield alert(
        "VoiceResourcePaused",
        "sum by (resource, status) (increase(bridge_relay_resource_pauses_total[15m])) >= 3",
        "ticket",
        "{{ $labels.resource }} was paused {{ $value | humanize }} times in 15 minutes, status {{ $labels.status }}",
    )
    yield alert(
        "VoiceQuotaLow",
        """max by (resource) (bridge_voice_quota_connections{kind="free"})
        / max by (resource) (bridge_voice_quota_connections{kind="limit"}) < 0.1""",
        "ticket",
        "{{ $value | humanizePercentage }} of the connections per minute are left, resource {{ $labels.resource }}",
        lasting="5m",
    )
    yield alert(
        "VoiceQuotaWaits",
        """sum(increase(bridge_relay_quota_waits_total{urgency=~"running|new"}[5m])) >= 10
        unless sum(increase(bridge_relay_resource_pauses_total[15m])) > 0""",
        "page",
        "Callers waited {{ $value | humanize }} times in 5 minutes for a connection within the quota of Voice Live",
    )
    yield alert(
        "VoiceSessionsLost",
        """sum(increase(bridge_relay_voice_sessions_lost_total[15m]))
        / sum(increase(bridge_relay_voice_sessions_total{result=~"open|warm"}[15m])) > 0.1
        and sum(increase(bridge_relay_voice_sessions_lost_total[15m])) >= 5""",
        "ticket",
        "{{ $value | humanizePercentage }} of the voice sessions were lost during a call",
    )


def _redis() -> Iterator[Rule]:
    yield alert(
        "CallsMuted",
        "sum(bridge_relay_muted_calls) >= 2",
        "page",
        "{{ $value }} calls are muted, because their relays cannot renew leases in Redis",
        lasting="30s",
    )
    yield alert(
        "RedisDroppedAudio",
        "sum by (job) (increase(bridge_writer_dropped_entries_total[15m])) > 0",
        "ticket",
        "{{ $labels.job }} dropped {{ $value | humanize }} media entries that Redis did not store in time",
    )
    yield alert(
        "RedisUnstable",
        "max(increase(bridge_redis_outages_total[30m])) >= 4",
        "ticket",
        "A process lost its connection to Redis {{ $value | humanize }} times in 30 minutes",
    )
    yield alert(
        "InboxBacklog",
        "max(bridge_inbox_waiting) > 50",
        "page",
        "{{ $value }} entries wait in the inbox of call-control",
        lasting="2m",
    )


def _azure() -> Iterator[Rule]:
    yield alert(
        "EventGridRefused",
        """(sum(increase(bridge_webhook_events_total{outcome="refused"}[10m]))
        + (sum(increase(bridge_requests_refused_total{endpoint="incomingCall"}[10m])) or vector(0)) >= 5)
        unless sum(increase(bridge_webhook_events_total{kind="IncomingCall", outcome="new"}[10m])) > 0""",
        "page",
        "{{ $value | humanize }} events of Event Grid were refused in 10 minutes, and no call arrived",
    )
    yield alert(
        "WebhookRequestsRefused",
        """sum by (endpoint, code)
        (increase(bridge_requests_refused_total{endpoint=~"incomingCall|handshake|callbacks"}[15m])) >= 10""",
        "ticket",
        "{{ $value | humanize }} requests to {{ $labels.endpoint }} were refused in 15 minutes: {{ $labels.code }}",
    )
    yield alert(
        "EventGridOutdated",
        "sum(increase(bridge_calls_outdated_total[10m])) >= 5",
        "page",
        "{{ $value | humanize }} calls in 10 minutes were not answered, because their events arrived too late",
    )
    yield alert(
        "AcsCommandsFailing",
        """sum(increase(bridge_acs_requests_total{outcome=~"auth|throttled|unavailable|refused"}[5m]))
        / sum(increase(bridge_acs_requests_total[5m])) > 0.1
        and sum(increase(bridge_acs_requests_total{outcome=~"auth|throttled|unavailable|refused"}[5m])) >= 5""",
        "page",
        "{{ $value | humanizePercentage }} of the commands to ACS fail",
        lasting="2m",
    )
    yield alert(
        "HangUpsNotConfirmed",
        "sum(increase(bridge_hang_ups_repeated_total[15m])) >= 10",
        "ticket",
        "ACS did not confirm hang-ups; they were repeated {{ $value | humanize }} times in 15 minutes",
    )
    yield alert(
        "HangUpsAbandoned",
        "sum(increase(bridge_hang_ups_abandoned_total[1h])) > 0",
        "ticket",
        "{{ $value | humanize }} calls may still be connected after 4 hours of hang-ups",
    )
    yield alert(
        "TransfersFailing",
        'sum by (outcome) (increase(bridge_transfers_total{outcome=~"refused|wrong_number|unknown"}[15m])) >= 3',
        "ticket",
        "{{ $value | humanize }} transfers failed in 15 minutes: {{ $labels.outcome }}",
    )
    yield alert(
        "TokenRequestsFailing",
        "sum by (scope) (increase(bridge_token_failures_total[10m])) >= 3",
        "page",
        "Requests of Entra tokens for {{ $labels.scope }} have failed for 10 minutes",
        lasting="10m",
    )
    yield alert(
        "SigningKeysFailing",
        "sum by (issuer) (increase(bridge_signing_key_failures_total[10m])) >= 3",
        "page",
        "The signing keys of {{ $labels.issuer }} could not be fetched for 10 minutes",
        lasting="10m",
    )


def _fleet() -> Iterator[Rule]:
    missing = " or ".join(
        f'label_replace(absent({metric}), "job", "{service}", "", "")' for service, metric in _PRESENT.items()
    )
    yield alert("ServiceMissing", missing, "page", "No process of {{ $labels.job }} is scraped", lasting="2m")
    yield alert(
        "ProcessNotScraped",
        f'up{{job=~"{_SERVICES}"}} == 0',
        "ticket",
        "{{ $labels.pod }} has not answered /metrics for 5 minutes",
        lasting="5m",
    )
    yield alert(
        "FleetNotReady",
        # A process that drains is replaced by another.
        "avg by (job) (bridge_ready unless bridge_draining == 1) < 0.5",
        "page",
        "Only {{ $value | humanizePercentage }} of the processes of {{ $labels.job }} are ready",
        lasting="1m",
    )
    yield alert(
        "ProcessNotReady",
        "bridge_ready == 0 unless bridge_draining == 1",
        "ticket",
        "{{ $labels.pod }} has not been ready for 5 minutes, and does not drain",
        lasting="5m",
    )
    yield alert(
        "ProcessRestarting",
        f'changes(process_start_time_seconds{{job=~"{_SERVICES}"}}[30m]) >= 3',
        "ticket",
        "{{ $labels.pod }} restarted {{ $value }} times in 30 minutes",
    )
    yield alert(
        "VersionSkew",
        "count by (service) (count by (service, version, revision) (bridge_build_info)) > 1",
        "ticket",
        "{{ $labels.service }} has run {{ $value }} versions for two hours",
        lasting="2h",
    )
    yield alert(
        "EventLoopLag",
        """histogram_quantile(0.99, sum by (le, job) (rate(bridge_event_loop_lag_seconds_bucket[5m]))) > 0.05""",
        "ticket",
        "The event loop of {{ $labels.job }} is {{ $value | humanizeDuration }} late (p99)",
        lasting="10m",
    )
    yield alert(
        "ProfilesNotReloaded",
        "min(bridge_relay_profiles_last_reload_successful) == 0",
        "ticket",
        "AGENT_PROFILES_FILE has mistakes; relays keep the previous profiles",
        lasting="5m",
    )
    yield alert(
        "ProfilesDiffer",
        "max(bridge_relay_profiles_hash) != min(bridge_relay_profiles_hash)",
        "ticket",
        "Relays use different agent profiles",
        lasting="15m",
    )
    yield alert(
        "RoutingPolicyDiffers",
        "max(bridge_routing_policy_version) != min(bridge_routing_policy_version)",
        "ticket",
        "Replicas of call-control use different routing policies",
        lasting="5m",
    )
    yield alert(
        "WrongApiKeys",
        """sum(increase(bridge_requests_refused_total{endpoint=~"operator API|routing|say|fleet",
        code=~"unauthorized|too_many_requests"}[5m])) >= 20""",
        "ticket",
        "{{ $value | humanize }} requests with wrong API keys in 5 minutes",
    )
    yield alert(
        "AutoscalerRefused",
        'sum(increase(bridge_requests_refused_total{endpoint="fleet"}[10m])) >= 5',
        "ticket",
        "{{ $value | humanize }} requests for the demand of the fleet were refused in 10 minutes",
    )


def _audio() -> Iterator[Rule]:
    yield alert(
        "OneWayAudio",
        """sum(increase(bridge_audio_faults_total{kind="no_uplink"}[15m]))
        / sum(increase(bridge_gateway_attaches_total{kind="first"}[15m])) > 0.02
        and sum(increase(bridge_audio_faults_total{kind="no_uplink"}[15m])) >= 5""",
        "page",
        "No audio of the caller arrives in {{ $value | humanizePercentage }} of the calls",
    )
    # Not a page: the agent is also quiet while a caller talks for half a minute.
    yield alert(
        "AgentNotHeard",
        """sum(increase(bridge_audio_faults_total{kind="no_downlink"}[1h]))
        / sum(increase(bridge_gateway_attaches_total{kind="first"}[1h])) > 0.05
        and sum(increase(bridge_audio_faults_total{kind="no_downlink"}[1h])) >= 5""",
        "ticket",
        "In {{ $value | humanizePercentage }} of the calls nothing was sent to the caller for 30 s",
    )
    yield alert(
        "CallerAudioBad",
        """sum by (kind) (increase(bridge_audio_faults_total{kind=~"silent_uplink|clipped_uplink"}[1h]))
        / on() group_left() sum(increase(bridge_gateway_attaches_total{kind="first"}[1h])) > 0.05
        and sum by (kind) (increase(bridge_audio_faults_total[1h])) >= 5""",
        "ticket",
        "The callers' audio is silent or clipped in {{ $value | humanizePercentage }} of the calls: {{ $labels.kind }}",
    )
    yield alert(
        "AudioDelayed",
        "histogram_quantile(0.99, sum by (le, direction) (rate(bridge_frame_delay_seconds_bucket[5m]))) > 0.05",
        "ticket",
        "Audio takes {{ $value | humanizeDuration }} through Redis (p99, {{ $labels.direction }})",
        lasting="10m",
    )
