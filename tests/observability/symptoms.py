"""The symptom of each alert: a recording of it, or series written by hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from observability.recording import Grid
from tests.observability.promtool import DAY_STEP_S, STEP_S, growing, steady

MINUTE: Final = round(60 / STEP_S)


@dataclass(frozen=True, slots=True, kw_only=True)
class Symptom:
    """`pages`: all pages that fire while the fault lasts. `tickets`: tickets that fire; further ones may.

    `during`: only the scrapes at which a series of this metric has this value or more, or exactly 0 for 0, are played,
    because the alert needs a state that does not change; `after`: without so many scrapes at the beginning.
    `recording`: if its name is not that of the symptom.
    """

    pages: frozenset[str] = frozenset()
    tickets: frozenset[str] = frozenset()
    during: tuple[str, float] | None = None
    after: int = 0
    recording: str = ""
    minutes: float = 8
    step_s: float = STEP_S


def symptom(pages: str = "", tickets: str = "", **rest: object) -> Symptom:
    return Symptom(pages=frozenset(pages.split()), tickets=frozenset(tickets.split()), **rest)  # type: ignore[arg-type]


SYMPTOMS: Final[Mapping[str, Symptom]] = {
    "over-capacity": symptom("CallsRefusedNoCapacity CallsNotAnsweredFast"),
    "almost-full": symptom(tickets="CapacityAlmostUsed", during=("bridge_fleet_calls", 9), minutes=14),
    "voice-denied": symptom(
        "VoiceSessionsRefused CallsNotAnsweredFast", tickets="VoiceResourcePaused CallsNotAnsweredSlow"
    ),
    "voice-throttled": symptom("VoiceSessionsRefused CallsNotAnsweredFast", tickets="VoiceResourcePaused"),
    "voice-gone": symptom("VoiceSessionsRefused CallsNotAnsweredFast", tickets="VoiceSessionsLost"),
    "voice-quota-used": symptom("VoiceQuotaWaits VoiceSessionsRefused CallsNotAnsweredFast SilenceInCallsFast"),
    "voice-quota-empty": symptom(
        "VoiceQuotaWaits VoiceSessionsRefused CallsNotAnsweredFast SilenceInCallsFast",
        tickets="VoiceQuotaLow",
        recording="voice-quota-used",
        during=("bridge_voice_quota_connections", 0),
    ),
    "redis-gone": symptom("CallsMuted FleetNotReady", tickets="RedisDroppedAudio", during=("bridge_ready", 0)),
    "redis-cut": symptom(tickets="RedisUnstable"),
    "redis-stalled": symptom(tickets="AudioDelayed", minutes=14),
    "control-cut-off": symptom(tickets="ProcessNotReady RoutingPolicyDiffers", during=("bridge_ready", 0)),
    "acs-hangs": symptom("InboxBacklog", during=("bridge_inbox_waiting", 51)),
    "event-grid-refused": symptom("EventGridRefused", tickets="WebhookRequestsRefused", minutes=14),
    "event-grid-outdated": symptom("EventGridOutdated CallsNotAnsweredFast"),
    "answers-refused": symptom("AcsCommandsFailing CallsNotAnsweredFast"),
    "hang-ups-refused": symptom("AcsCommandsFailing", tickets="HangUpsNotConfirmed"),
    "wrong-targets": symptom(tickets="TransfersFailing"),
    "tokens-refused": symptom("TokenRequestsFailing VoiceSessionsRefused CallsNotAnsweredFast", minutes=20),
    "signing-keys-gone": symptom("SigningKeysFailing", minutes=20),
    "media-refused": symptom("AcsCommandsFailing CallsNotAnsweredFast"),
    "slow-agent": symptom("AgentSlowFast", tickets="AgentSlowSlow"),
    "slow-answer": symptom("AcsCommandsFailing FirstAudioLateFast", tickets="FirstAudioLateSlow"),
    "stalled-speech": symptom("SilenceInCallsFast", tickets="SilenceInCallsSlow"),
    "mute-agent": symptom("SilenceInCallsFast CallsNotAnsweredFast"),
    "one-way-audio": symptom("OneWayAudio"),
    "caller-audio-bad": symptom(tickets="CallerAudioBad AgentNotHeard"),
    "wrong-keys": symptom(tickets="WrongApiKeys AutoscalerRefused"),
    "gateway-frozen": symptom(tickets="ProcessNotScraped", during=("up", 0)),
    "relays-gone": symptom("ServiceMissing CallsNotAnsweredFast", after=4),
    "relay-crash": symptom(tickets="ProcessRestarting"),
    "relays-throttled": symptom(tickets="EventLoopLag", minutes=18),
    "profiles-broken": symptom(
        tickets="ProfilesNotReloaded", during=("bridge_relay_profiles_last_reload_successful", 0)
    ),
    "half-rolled-out": symptom(tickets="VersionSkew ProfilesDiffer", minutes=140, step_s=DAY_STEP_S),
}

_CONTROL: Final = 'job="call-control",pod="call-control-1"'
_HALF_HOUR: Final = 30 * MINUTE
BY_HAND: Final[dict[str, Mapping[str, Grid]]] = {
    "HangUpsAbandoned": {f"bridge_hang_ups_abandoned_total{{{_CONTROL}}}": growing(1, _HALF_HOUR, begin=MINUTE)},
    **{
        name: {
            f'bridge_fleet_calls{{kind="{kind}",{_CONTROL}}}': steady(2 * calls, _HALF_HOUR),
            f'bridge_fleet_processes{{kind="{kind}",state="live",{_CONTROL}}}': steady(1, _HALF_HOUR),
        }
        for name, kind, calls in (("GatewaysNotAdded", "media-gateway", 80), ("RelaysNotAdded", "agent-relay", 40))
    },
}
"""Hang-ups are abandoned after four hours. More calls on a process than planned need a machine for itself."""
