from __future__ import annotations

import pytest

from agent_relay.core.protocol.agent_profile import AgentProfile
from agent_relay.definition_check import DefinitionCheck

PROFILE = AgentProfile(actions=("end_call", "add_note"))


def _lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [str(vars(record)) for record in caplog.records]


def test_missing_functions_are_reported_once(caplog: pytest.LogCaptureFixture) -> None:
    check = DefinitionCheck()
    for _ in range(2):
        check.compare("sales", PROFILE, ("end_call", "other"))
    [line] = _lines(caplog)
    assert "'missing': ['add_note']" in line
    assert "python -m agent_relay.function_tools FILE sales" in line


def test_nothing_is_reported_while_the_functions_are_unknown_or_complete(caplog: pytest.LogCaptureFixture) -> None:
    check = DefinitionCheck()
    check.compare("sales", PROFILE, None)
    check.compare("sales", PROFILE, ("add_note", "end_call"))
    check.compare("sales", PROFILE, ())
    assert _lines(caplog) == []
