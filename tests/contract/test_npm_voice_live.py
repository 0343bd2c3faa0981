"""The npm client @azure/ai-voicelive receives a greeting, takes a turn, interrupts and handles a function call."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.speech import synthesize
from lab.voice_live.app import server_config
from lab.voice_live.settings import VoiceLiveSettings
from tests.support.lab_server import running
from tests.support.npm_contract import install, run, why_not

pytestmark = [pytest.mark.node, pytest.mark.timeout(240), pytest.mark.skipif(bool(why_not()), reason=why_not())]


async def test_the_npm_client_has_a_conversation(tmp_path: Path) -> None:
    install()
    words = tmp_path / "caller.pcm"
    words.write_bytes(synthesize("Where is my parcel, please?", 24_000))
    settings = VoiceLiveSettings(port=0)
    async with running(server_config(settings)) as address:
        printed = await run(
            "voice_live.mjs",
            {"VOICE_LIVE_URL": f"http://{address}", "VOICE_LIVE_KEY": settings.api_key, "SPEECH_PCM": str(words)},
        )
    assert "pass 5" in printed
    assert "skipped 0" in printed
