"""Settings come from variables of their names; wrong ones are named together; `--help` lists them all."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

import pytest

from lab.acs.settings import AcsSettings
from lab.environment import NOT_FROM_ENVIRONMENT, read_settings, settings_help
from lab.identity import IdentitySettings
from lab.voice_live.settings import VoiceLiveSettings


@dataclass(frozen=True)
class Knobs:
    """Knobs of a test."""

    port: int = 80
    wait_s: float = 1.5
    """Seconds to wait,
    or a little longer."""
    loud: bool = False
    name: str = ""
    inner: str = field(default="kept", metadata=NOT_FROM_ENVIRONMENT)


def test_values_have_the_type_of_their_default() -> None:
    given = {"PORT": "81", "WAIT_S": "2", "LOUD": "Yes", "NAME": "n", "INNER": "x", "UNRELATED": "y"}
    assert read_settings(Knobs, given) == Knobs(81, 2.0, True, "n", "kept")
    assert read_settings(Knobs, {}) == Knobs()


def test_wrong_values_are_named_together() -> None:
    with pytest.raises(ValueError, match=r"PORT must be a whole number, not '8.0'; WAIT_S .*; LOUD must be true or"):
        read_settings(Knobs, {"PORT": "8.0", "WAIT_S": "soon", "LOUD": "perhaps"})


def test_the_help_lists_defaults_and_the_docstrings_of_fields() -> None:
    assert settings_help(Knobs).splitlines() == [
        "settings, read from the environment:",
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
