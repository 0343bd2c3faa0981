"""Settings are read from environment variables with their names; all invalid values are reported together."""

from __future__ import annotations

import pytest

from lab.voice_live.settings import VoiceLiveSettings


def test_every_kind_of_setting_is_read() -> None:
    given = {"PORT": "9100", "SPEED": "0", "ALLOW_ANY_BEARER": "yes", "API_KEY": "k", "UNRELATED": "x"}
    settings = VoiceLiveSettings.from_env(given)
    assert (settings.port, settings.speed, settings.allow_any_bearer, settings.api_key) == (9100, 0.0, True, "k")
    assert VoiceLiveSettings.from_env({}) == VoiceLiveSettings()


def test_wrong_values_are_all_named() -> None:
    with pytest.raises(
        ValueError, match=r"PORT must be an integer, got .x.; REPLY_DELAY_S must be a number, got .soon."
    ):
        VoiceLiveSettings.from_env({"PORT": "x", "REPLY_DELAY_S": "soon", "SPEED": "4"})
    with pytest.raises(ValueError, match="ALLOW_ANY_BEARER"):
        VoiceLiveSettings.from_env({"ALLOW_ANY_BEARER": "perhaps"})
