"""Scenarios: who calls, what they say and when, and what the simulated agent answers. YAML files, checked when read."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, model_validator


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Step(_Part):
    """One thing the caller does. Exactly one of `say`, `play`, `dtmf`, `wait_for`, `pause_ms`, `hang_up` is set.

    `wait_for: agent_starts` with `ms: 800` waits until 800 ms of agent sound were heard since the step began;
    `agent_ends` until the agent, who may be speaking already, was heard and then `ms` without agent sound; `silence`
    for `ms` without agent sound.
    """

    say: str | None = None
    play: str | None = None
    dtmf: str | None = Field(default=None, pattern=r"^[0-9A-D*#]+$")
    wait_for: Literal["agent_starts", "agent_ends", "silence"] | None = None
    pause_ms: int | None = Field(default=None, ge=0)
    hang_up: Literal[True] | None = None
    ms: int = Field(default=0, ge=0)
    within_s: float = Field(default=15.0, gt=0)

    @model_validator(mode="after")
    def _exactly_one(self) -> Step:
        kinds = ("say", "play", "dtmf", "wait_for", "pause_ms", "hang_up")
        chosen = [kind for kind in kinds if getattr(self, kind) is not None]
        if len(chosen) != 1:
            raise ValueError(f"a step needs exactly one of {', '.join(kinds)}; this one has {chosen or 'none'}")
        return self


class Caller(_Part):
    number: str = Field(default="+14255550100", pattern=r"^\+[1-9][0-9]{6,14}$")
    steps: tuple[Step, ...] = ()


class FunctionCall(_Part):
    name: str
    arguments: dict[str, object] = {}


class Reply(_Part):
    """What the agent does after a caller's turn: says a text, or calls a function and says `say` after its result.

    Replies are taken in order, one for each turn: words, or keys pressed together. `heard` selects nothing: it is what
    the simulated transcription says of the turn, and a demo checks that the caller said these words. Keys have none.
    """

    heard: str = ""
    say: str | None = None
    call: FunctionCall | None = None

    @model_validator(mode="after")
    def _something(self) -> Reply:
        if self.say is None and self.call is None:
            raise ValueError("a reply needs `say`, `call`, or both")
        return self


class Agent(_Part):
    """How the simulated Voice Live answers: by a script, by echoing the caller, or with numbered marks."""

    mode: Literal["script", "echo", "marks"] = "script"
    replies: tuple[Reply, ...] = ()
    greeting: str | None = None


class Scenario(_Part):
    name: str
    caller: Caller = Caller()
    agent: Agent = Agent()


def load_scenario(path: Path) -> Scenario:
    """Read and check one scenario file. Raises `ValueError` (pydantic's, naming each wrong field) or `OSError`."""
    return Scenario.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
