"""Inhibition of pages by their cause, for Alertmanager.

An objective is missed for a reason. While the page of the reason fires, that of the objective would be a second call
for the same incident.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Any, Final

_NOT_ANSWERED: Final = "CallsNotAnsweredFast"
_LATE: Final = "FirstAudioLateFast"
_SILENT: Final = "SilenceInCallsFast"

CAUSES: Final[Mapping[str, tuple[str, ...]]] = {
    "ServiceMissing": (_NOT_ANSWERED, _LATE, _SILENT, "FleetNotReady"),
    "FleetNotReady": (_NOT_ANSWERED, _LATE, _SILENT),
    "CallsMuted": (_NOT_ANSWERED, _LATE, _SILENT, "FleetNotReady"),
    "CallsRefusedNoCapacity": (_NOT_ANSWERED, _LATE),
    "VoiceSessionsRefused": (_NOT_ANSWERED, _LATE, _SILENT),
    "VoiceQuotaWaits": (_NOT_ANSWERED, _LATE, _SILENT, "VoiceSessionsRefused"),
    "TokenRequestsFailing": (_NOT_ANSWERED, _LATE, _SILENT, "VoiceSessionsRefused", "AcsCommandsFailing"),
    "SigningKeysFailing": (_NOT_ANSWERED, _LATE),
    "AcsCommandsFailing": (_NOT_ANSWERED, _LATE),
    "InboxBacklog": (_NOT_ANSWERED, _LATE),
    "EventGridOutdated": (_NOT_ANSWERED,),
    _NOT_ANSWERED: (_LATE, _SILENT, "AgentSlowFast"),
}
"""Page of a cause → pages of its effects; and of calls that are lost → pages of the quality of calls."""


def alertmanager() -> dict[str, Any]:
    """Return `inhibit_rules` for the configuration of Alertmanager."""
    return {
        "inhibit_rules": [
            {
                "source_matchers": [f'alertname="{cause}"'],
                "target_matchers": [f'alertname=~"{"|".join(effects)}"'],
            }
            for cause, effects in CAUSES.items()
        ]
    }


def notified(firing: Set[str]) -> set[str]:
    """Return the alerts that Alertmanager notifies of while all of these fire."""
    return {name for name in firing if not any(name in CAUSES.get(cause, ()) for cause in firing)}
