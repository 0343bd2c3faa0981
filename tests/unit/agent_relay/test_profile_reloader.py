from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import cast

import pytest

from agent_relay.agents import Agents
from agent_relay.core.protocol.agent_profile import AgentProfile
from agent_relay.profile_reloader import ProfileReloader
from tests.support.eventually import eventually


class Adopted:
    """Agents that record the languages of `sales`."""

    def __init__(self) -> None:
        self.languages: list[str] = []
        self.broken = False

    def adopt(self, profiles: Mapping[str, AgentProfile]) -> set[str]:
        if self.broken:
            raise RuntimeError("cannot connect")
        self.languages.append(profiles["sales"].language)
        return {"sales"}


def _reloader(path: Path, adopted: Adopted, *, every_s: float = 2.0) -> ProfileReloader:
    def no_danish(profiles: Mapping[str, AgentProfile]) -> Iterable[str]:
        yield from (f"{name}: no Danish" for name, one in profiles.items() if one.language == "da-DK")

    return ProfileReloader(path, no_danish, cast(Agents, adopted), every_s=every_s)


def _write(path: Path, language: str) -> None:
    path.write_text(f"sales: {{language: {language}}}\n")


async def test_each_content_is_adopted_once(tmp_path: Path) -> None:
    path, adopted = tmp_path / "profiles.yaml", Adopted()
    reloader = _reloader(path, adopted)
    for language in ("de-DE", "de-DE", "fr-FR", "de-DE"):
        _write(path, language)
        await reloader.look()
    assert adopted.languages == ["de-DE", "fr-FR", "de-DE"]


async def test_mistakes_are_logged_once_and_change_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path, adopted = tmp_path / "profiles.yaml", Adopted()
    reloader = _reloader(path, adopted)
    _write(path, "de-DE")
    await reloader.look()
    for text in ("sales: {voise: x}", "sales: [", "sales: {language: da-DK}"):
        path.write_text(text)
        await reloader.look()
        await reloader.look()
    path.unlink()
    await reloader.look()
    await reloader.look()
    reasons = [record.__dict__["bridge_fields"]["reason"].removeprefix(f"{path}") for record in caplog.records]
    assert len(reasons) == 4
    assert reasons[2] == ": sales: no Danish"
    assert reasons[3].startswith(" cannot be read")
    assert adopted.languages == ["de-DE"]
    _write(path, "de-DE")
    await reloader.look()
    assert adopted.languages == ["de-DE", "de-DE"]


async def test_an_unexpected_failure_does_not_end_the_reloader(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path, adopted = tmp_path / "profiles.yaml", Adopted()
    reloader = _reloader(path, adopted, every_s=0.01)
    adopted.broken = True
    _write(path, "de-DE")
    running = asyncio.create_task(reloader.run())
    await eventually(lambda: any(record.exc_info for record in caplog.records))
    adopted.broken = False
    _write(path, "fr-FR")
    await eventually(lambda: adopted.languages == ["fr-FR"])
    assert [record.levelno for record in caplog.records].count(logging.ERROR) == 2
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
