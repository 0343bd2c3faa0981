"""Compares the function tools in the definition of a Foundry voice agent with those of the profile."""

from __future__ import annotations

import logging
from collections.abc import Collection

from agent_relay import metrics
from agent_relay.core.protocol.agent_profile import AgentProfile
from bridge_common.base.log import fields

log = logging.getLogger(__name__)


class DefinitionCheck:
    """The check of one version of a profile. It is made once, because all calls of the version have the same result."""

    def __init__(self) -> None:
        self._done = False

    def compare(self, name: str, profile: AgentProfile, functions: Collection[str] | None) -> None:
        """Report the functions that the agent cannot call. `functions`: those of the session, None if unknown."""
        if self._done or functions is None:
            return
        self._done = True
        missing = sorted({function["name"] for function in profile.functions()} - set(functions))
        if missing:
            metrics.TOOLS_MISSING.inc()
            remedy = f"add the output of `python -m agent_relay.function_tools FILE {name}` to the agent's tools"
            where = fields(profile=name, profile_version=profile.version, missing=missing, remedy=remedy)
            log.warning("voice agent lacks function tools of its profile", extra=where)
