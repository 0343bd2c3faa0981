"""The symptom of each alert: a recording of it, or series written by hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from observability.recording import STEP_S, Grid
from tests.observability.promtool import growing, steady

MINUTE: Final = round(60 / STEP_S)
SYMPTOMS: Final[dict[str, set[str]]] = {
    "over-capacity": {"CallsRefusedNoCapacity", "CallsNotAnsweredFast"},
    "voice-denied": {"VoiceSessionsRefused", "VoiceResourcePaused", "CallsNotAnsweredFast", "CallsNotAnsweredSlow"},
    "voice-throttled": {"VoiceResourcePaused"},
    "voice-gone": {"VoiceSessionsLost"},
    "redis-gone": {"CallsMuted", "RedisUnstable"},
    "redis-cut": {"RedisUnstable"},
    "redis-stalled": {"AudioDelayed"},
    "event-grid-refused": {"EventGridRefused", "WebhookRequestsRefused"},
    "event-grid-outdated": {"EventGridOutdated"},
    "answers-refused": {"AcsCommandsFailing", "CallsNotAnsweredFast"},
    "hang-ups-refused": {"HangUpsNotConfirmed"},
    "media-refused": {"CallsNotAnsweredFast"},
    "slow-agent": {"AgentSlowFast", "AgentSlowSlow"},
    "slow-answer": {"FirstAudioLateFast", "FirstAudioLateSlow"},
    "stalled-speech": {"SilenceInCallsFast", "SilenceInCallsSlow"},
    "mute-agent": {"SilenceInCallsFast"},
    "wrong-keys": {"WrongApiKeys"},
    "long-drain": {"DrainingTooLong"},
    "gateway-frozen": {"ProcessNotScraped"},
    "relays-gone": {"ServiceMissing", "CallsNotAnsweredFast"},
    "relay-crash": {"ProcessRestarting"},
    "profiles-broken": {"ProfilesNotReloaded"},
}
"""Alerts that must fire while the fault of the recording lasts. Further tickets may fire, and the pages of the same
symptom."""

DURING: Final = {
    "long-drain": ("bridge_draining", 1),
    "gateway-frozen": ("up", 0),
    "profiles-broken": ("bridge_relay_profiles_last_reload_successful", 0),
}
"""Recordings of which only the scrapes with this value are played: their alerts need a state that does not change."""

_TEN: Final = 10 * MINUTE
_HALF_HOUR: Final = 30 * MINUTE
_RELAY: Final = 'job="agent-relay",pod="agent-relay-1"'
_CONTROL: Final = 'job="call-control",pod="call-control-1"'
BY_HAND: Final[dict[str, Mapping[str, Grid]]] = {
    "CapacityAlmostUsed": {
        f'bridge_fleet_calls{{kind="agent-relay",{_CONTROL}}}': steady(90, _HALF_HOUR),
        f'bridge_fleet_capacity_calls{{kind="agent-relay",{_CONTROL}}}': steady(100, _HALF_HOUR),
    },
    **{
        name: {
            f'bridge_fleet_calls{{kind="{kind}",{_CONTROL}}}': steady(2 * calls, _HALF_HOUR),
            f'bridge_fleet_processes{{kind="{kind}",state="live",{_CONTROL}}}': steady(1, _HALF_HOUR),
        }
        for name, kind, calls in (("GatewaysNotAdded", "media-gateway", 80), ("RelaysNotAdded", "agent-relay", 40))
    },
    "AutoscalerRefused": {
        f'bridge_requests_refused_total{{endpoint="fleet",code="unauthorized",{_CONTROL}}}': growing(1, _TEN)
    },
    "VoiceQuotaLow": {
        f'bridge_voice_quota_connections{{resource="0",kind="free",{_RELAY}}}': steady(2, _TEN),
        f'bridge_voice_quota_connections{{resource="0",kind="limit",{_RELAY}}}': steady(30, _TEN),
    },
    "VoiceQuotaWaits": {f'bridge_relay_quota_waits_total{{resource="0",urgency="new",{_RELAY}}}': growing(2, _TEN)},
    "InboxBacklog": {f"bridge_inbox_waiting{{{_CONTROL}}}": steady(80, _TEN)},
    "EventLoopLag": {
        f'bridge_event_loop_lag_seconds_bucket{{le="{bound}",{_RELAY}}}': growing(count, _HALF_HOUR)
        for bound, count in (("0.02", 9), ("0.05", 9), ("0.1", 10), ("+Inf", 10))
    },
    "RedisDroppedAudio": {f"bridge_writer_dropped_entries_total{{{_RELAY}}}": growing(5, _TEN, begin=_TEN // 2)},
    "HangUpsAbandoned": {f"bridge_hang_ups_abandoned_total{{{_CONTROL}}}": growing(1, _TEN, begin=_TEN // 2)},
    "TransfersFailing": {f'bridge_transfers_total{{mode="blind",outcome="refused",{_CONTROL}}}': growing(0.2, _TEN)},
    "TokenRequestsFailing": {f'bridge_token_failures_total{{scope="ai",{_RELAY}}}': growing(1, _HALF_HOUR)},
    "SigningKeysFailing": {f'bridge_signing_key_failures_total{{issuer="acs",{_CONTROL}}}': growing(1, _HALF_HOUR)},
    "FleetNotReady": {
        f'bridge_ready{{job="{job}",pod="{job}-{pod}"}}': steady(job != "media-gateway", _TEN)
        for job in ("call-control", "media-gateway", "agent-relay")
        for pod in (1, 2)
    },
    "ProcessNotReady": {
        **{f'bridge_ready{{pod="{pod}"}}': steady(pod != "c", _TEN) for pod in "abc"},
        **{f'bridge_draining{{pod="{pod}"}}': steady(0, _TEN) for pod in "abc"},
    },
    "VersionSkew": {
        f'bridge_build_info{{service="agent-relay",version="{version}",pod="{version}"}}': steady(1, 150 * MINUTE)
        for version in ("0.1.0", "0.2.0")
    },
    "ProfilesDiffer": {f'bridge_relay_profiles_hash{{pod="{pod}"}}': steady(pod, _HALF_HOUR) for pod in (1, 2)},
    "RoutingPolicyDiffers": {f'bridge_routing_policy_version{{pod="{pod}"}}': steady(pod, _TEN) for pod in (1, 2)},
    "OneWayAudio": {
        'bridge_audio_faults_total{kind="no_uplink",job="media-gateway"}': growing(1, _TEN),
        'bridge_gateway_attaches_total{kind="first",job="media-gateway"}': growing(10, _TEN),
    },
    "CallerAudioBad": {
        'bridge_audio_faults_total{kind="silent_uplink",job="media-gateway"}': growing(1, _HALF_HOUR),
        'bridge_gateway_attaches_total{kind="first",job="media-gateway"}': growing(10, _HALF_HOUR),
    },
}
