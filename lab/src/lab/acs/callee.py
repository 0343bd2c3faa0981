"""The called party of outbound calls, transfers and added participants: it answers or fails as configured."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from lab.acs.calls import Audio, CallEnd
from lab.scenario import ScenarioStep

Outcome = Literal["answers", "busy", "declined", "no_answer", "unreachable"]

_FAILURES: dict[str, tuple[int, int, str]] = {
    "busy": (486, 560486, "Call was rejected as the callee is busy. DiagCode: 486#560486.@"),
    "declined": (603, 0, "Call was declined by the callee. DiagCode: 603#0.@"),
    "no_answer": (487, 10004, "The call was not answered in time. DiagCode: 487#10004.@"),
    "unreachable": (480, 10037, "The callee is not registered. DiagCode: 480#10037.@"),
}


class CalleePlan(BaseModel):
    """Body of `PUT /lab/callee`. `after_s`: ringing time; `audio`, `steps` and `mark` as in `POST /lab/calls`."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    outcome: Outcome = "answers"
    after_s: float = Field(default=0.5, ge=0)
    audio: Audio = "script"
    steps: tuple[ScenarioStep, ...] = ()
    mark: int = Field(default=0, ge=0, le=0xFFFF)

    def failure(self) -> CallEnd | None:
        """Return the end of the failed call, or `None` if the callee answers."""
        if self.outcome == "answers":
            return None
        code, sub_code, message = _FAILURES[self.outcome]
        return CallEnd(by="callee", reason=self.outcome, code=code, sub_code=sub_code, message=message)
