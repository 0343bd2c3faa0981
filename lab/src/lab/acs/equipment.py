"""What all calls of one simulator share."""

from __future__ import annotations

from dataclasses import dataclass, field

import aiohttp

from lab.acs.callee import CalleePlan
from lab.acs.calls import CallBook
from lab.acs.faults import Faults
from lab.acs.pretended import PRETENDED
from lab.acs.settings import AcsSettings
from lab.acs.ticker import Ticker
from lab.acs.tokens import TokenIssuer
from lab.unsupported import Unsupported


@dataclass(slots=True)
class Equipment:
    settings: AcsSettings
    http: aiohttp.ClientSession
    tokens: TokenIssuer
    faults: Faults = field(default_factory=Faults)
    ticker: Ticker = field(default_factory=Ticker)
    calls: CallBook = field(default_factory=CallBook)
    callee: CalleePlan = field(default_factory=CalleePlan)
    unsupported: Unsupported = field(init=False)

    def __post_init__(self) -> None:
        self.unsupported = Unsupported(PRETENDED, strict=self.settings.lab_strict)
