"""Settings are read from environment variables with their names; all invalid values are reported together; `--help`
lists all settings.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields

import pytest

from lab.acs.settings import AcsSettings
from lab.environment import NOT_FROM_ENVIRONMENT, SimulatorSettings, settings_help
from lab.identity import IdentitySettings
from lab.voice_live.settings import VoiceLiveSettings


@dataclass(frozen=True)
class Knobs(SimulatorSettings):
    port: int = 80
    wait_s: float = 1.5
    """Seconds to wait,
    or a little longer."""
    loud: bool = False
    name: str = ""
    inner: str = field(default="kept", metadata=NOT_FROM_ENVIRONMENT)


def test_values_have_the_type_of_their_default() -> None:
    given = {"PORT": "81", "WAIT_S": "2", "LOUD": "Yes", "NAME": "n", "INNER": "x", "UNRELATED": "y"}
    assert Knobs.from_env(given) == Knobs(port=81, wait_s=2.0, loud=True, name="n", inner="kept")
    assert Knobs.from_env({}) == Knobs()


def test_an_empty_variable_counts_as_unset() -> None:
    assert Knobs.from_env({"PORT": "", "LOUD": "", "LOG_LEVEL": ""}) == Knobs()


def test_wrong_values_are_named_together() -> None:
    given = {"LOG_LEVEL": "loud", "PORT": "8.5", "WAIT_S": "soon", "LOUD": "perhaps"}
    with pytest.raises(ValueError, match="PORT") as refused:
        Knobs.from_env(given)
    assert str(refused.value).split("; ") == [
        "LOG_LEVEL must be 'DEBUG', 'INFO', 'WARNING' or 'ERROR', got 'LOUD'",
        "PORT must be an integer, got '8.5'",
        "WAIT_S must be a number, got 'soon'",
        "LOUD must be true or false, got 'perhaps'",
    ]


def test_the_help_lists_defaults_and_the_docstrings_of_fields() -> None:
    assert settings_help(Knobs).splitlines() == [
        "settings, read from the environment:",
        "  LOG_LEVEL=INFO",
        "  PORT=80",
        "  WAIT_S=1.5",
        "      Seconds to wait, or a little longer.",
        "  LOUD=false",
        "  NAME=",
    ]


@pytest.mark.parametrize("settings", [AcsSettings, VoiceLiveSettings, IdentitySettings])
def test_the_help_of_each_simulator_lists_all_that_its_settings_read(
    settings: type[AcsSettings | VoiceLiveSettings | IdentitySettings],
) -> None:
    text = settings_help(settings)
    listed = {line.split("=")[0].strip() for line in text.splitlines() if line.startswith("  ") and line[2] != " "}
    read = {each.name.upper() for each in fields(settings) if each.metadata.get("from_environment", True)}
    assert listed == read
