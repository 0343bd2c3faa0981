"""State that all calls of one simulator share."""

from __future__ import annotations

from dataclasses import dataclass, field

import aiohttp

from lab.acs.acs_faults import AcsFaults
from lab.acs.call_book import CallBook
from lab.acs.frame_clock import FrameClock
from lab.acs.people import People
from lab.acs.settings import AcsSettings
from lab.acs.tokens import TokenIssuer
from lab.acs.unsupported_by_acs import PRETENDED
from lab.unsupported import Unsupported


@dataclass(slots=True)
class SharedState:
    settings: AcsSettings
    http: aiohttp.ClientSession
    tokens: TokenIssuer
    faults: AcsFaults = field(default_factory=AcsFaults)
    ticker: FrameClock = field(default_factory=FrameClock)
    calls: CallBook = field(default_factory=CallBook)
    people: People = field(default_factory=People)
    unsupported: Unsupported = field(init=False)

    def __post_init__(self) -> None:
        self.unsupported = Unsupported(PRETENDED, strict=self.settings.lab_strict)
