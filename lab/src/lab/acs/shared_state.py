"""State that all calls of one simulator share."""

from __future__ import annotations

from dataclasses import dataclass, field

import aiohttp
from pydantic import BaseModel, ConfigDict, Field

from lab.acs.acs_faults import AcsFaults
from lab.acs.call_ends import CallEnd, Outcome, failure
from lab.acs.calls import Audio, CallBook
from lab.acs.frame_clock import FrameClock
from lab.acs.settings import AcsSettings
from lab.acs.tokens import TokenIssuer
from lab.acs.unsupported_by_acs import PRETENDED
from lab.scenario import ScenarioStep
from lab.unsupported import Unsupported


class CalleePlan(BaseModel):
    """Body of `PUT /lab/callee`: behavior of the party that the application calls, adds or transfers to.

    `after_s`: ringing time; `audio`, `steps` and `mark` as in `POST /lab/calls`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    outcome: Outcome = "answers"
    after_s: float = Field(default=0.5, ge=0)
    audio: Audio = "script"
    steps: tuple[ScenarioStep, ...] = ()
    mark: int = Field(default=0, ge=0, le=0xFFFF)

    def failure(self) -> CallEnd | None:
        return failure(self.outcome)


@dataclass(slots=True)
class SharedState:
    settings: AcsSettings
    http: aiohttp.ClientSession
    tokens: TokenIssuer
    faults: AcsFaults = field(default_factory=AcsFaults)
    ticker: FrameClock = field(default_factory=FrameClock)
    calls: CallBook = field(default_factory=CallBook)
    callee: CalleePlan = field(default_factory=CalleePlan)
    unsupported: Unsupported = field(init=False)

    def __post_init__(self) -> None:
        self.unsupported = Unsupported(PRETENDED, strict=self.settings.lab_strict)
