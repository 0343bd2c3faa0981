"""State that all calls of one simulator share."""

from __future__ import annotations

from dataclasses import dataclass, field

import aiohttp

from lab.acs.acs_faults import AcsFaults
from lab.acs.call_book import CallBook
from lab.acs.calls import SimulatedCall
from lab.acs.forms import CallForms
from lab.acs.frame_clock import FrameClock
from lab.acs.party_identifiers import Identifier
from lab.acs.people import CalleePlan, People
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

    def forms(self, call: SimulatedCall) -> CallForms:
        return call.forms or self.faults.forms

    def plan(self, call: SimulatedCall, target: Identifier) -> CalleePlan:
        """Return the script of a person that this call reaches."""
        return call.scripts.get(target.raw_id) or self.people.plan(target)
