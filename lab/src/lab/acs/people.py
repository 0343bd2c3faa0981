"""Scripts of the people that the application calls, adds to a call or transfers a call to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, RootModel

from lab.acs.call_ends import CallEnd, Outcome, failure
from lab.acs.caller_uplink import Audio
from lab.acs.party_identifiers import Identifier
from lab.scenario import ScenarioStep

RING_S: Final = 1.0
PersonName = Annotated[str, Field(pattern=r"^(\+[1-9][0-9]{6,14}|(4|8|28):.+)$")]
_ANNOUNCEMENT: Final = "The person you are calling is not available. Please leave a message after the tone."


class CalleePlan(BaseModel):
    """Behavior of one person. `after_s`: ringing time until the outcome, 1 s if unset; a person with the outcome
    `no_answer` then rings until the time-out of the request. `code` and `subCode` replace the result codes of a
    failure. `audio`, `steps` and `mark` as in `POST /lab/calls`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)
    outcome: Outcome = "answers"
    after_s: float | None = Field(default=None, ge=0)
    hangs_up_after_s: float | None = Field(default=None, ge=0)
    code: int | None = None
    sub_code: int | None = Field(default=None, alias="subCode")
    audio: Audio = "script"
    steps: tuple[ScenarioStep, ...] = ()
    mark: int = Field(default=0, ge=0, le=0xFFFF)

    def failure(self) -> CallEnd | None:
        """Return why the person is not reached, or `None` if the person or a voicemail answers."""
        end = failure(self.outcome)
        if end is not None and (self.code is not None or self.sub_code is not None):
            end.code = end.code if self.code is None else self.code
            end.sub_code = end.sub_code if self.sub_code is None else self.sub_code
            end.message = f"{end.message.partition(' DiagCode')[0]} DiagCode: {end.code}#{end.sub_code}.@"
        return end

    def rings_s(self, limit_s: float) -> tuple[float, CallEnd | None]:
        """Return the ringing time in seconds and the failure after it, `None` if the phone is answered. `limit_s`:
        longest ringing time.
        """
        after_s = self.after_s
        if after_s is None:
            after_s = limit_s if self.outcome == "no_answer" else RING_S
        return (after_s, self.failure()) if after_s <= limit_s else (limit_s, failure("no_answer"))

    def script(self) -> tuple[ScenarioStep, ...]:
        if self.outcome == "voicemail" and not self.steps:
            return (ScenarioStep(say=_ANNOUNCEMENT),)
        return self.steps


Scripts = Mapping[str, CalleePlan]
"""Behavior by raw id."""


class PeopleScripts(RootModel[dict[PersonName, CalleePlan]]):
    """Body of `PUT /lab/people`: behavior by phone number or raw id."""


def by_raw_id(scripts: Mapping[str, CalleePlan]) -> Scripts:
    return {Identifier.of(name).raw_id: plan for name, plan in scripts.items()}


@dataclass(slots=True)
class People:
    """Scripts by raw id; `default` is used for all others."""

    default: CalleePlan = field(default_factory=CalleePlan)
    scripts: Scripts = field(default_factory=dict)

    def put(self, scripts: Mapping[str, CalleePlan]) -> None:
        self.scripts = by_raw_id(scripts)

    def plan(self, target: Identifier) -> CalleePlan:
        return self.scripts.get(target.raw_id, self.default)
