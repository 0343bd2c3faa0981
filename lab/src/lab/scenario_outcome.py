"""Expectations of a scenario about its call (`expect`)."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ExpectedTool(_Part):
    """Calls of one tool with one outcome. `ok`: the agent got a result; `failed`: it got an error or a refusal;
    `unanswered`: it got nothing, for example because the call ended first.
    """

    name: str
    outcome: Literal["ok", "failed", "unanswered"] = "ok"
    times: int = Field(default=1, ge=1)


class ExpectedTransfer(_Part):
    """A transfer to a target of the routing policy. `reason`: that of the action; without it, any."""

    target: str
    outcome: Literal["done", "failed", "canceled"] = "done"
    reason: str | None = None


class ExpectedContext(_Part):
    """The context that reached a person. `headers`: by name, others may be present; `topic` and `summary`: texts that
    must be part of it, in any header or field.
    """

    headers: dict[str, str] = {}
    topic: str | None = None
    summary: str | None = None


class ScenarioOutcome(_Part):
    """Checked after the call.

    `actions`: each with its state (`hang_up done`), in order; `tools`: all tool calls of the agent, without it each
    must be `ok`; `says`: parts of the agent's turns, in order; `informed`: parts of the messages to the agent about its
    call, in order; `hold_tone`: the caller hears it while the agent works or a person is called; `keys`: the key
    entries that the agent receives; `masked`: digits of the caller that only the simulated business receives;
    `longest_silence_s`: of both sides, between the caller's first word and the agent's last; `without_agent`: the call
    is answered, but no agent takes part; `state`: that of a call that is not answered; `route`: rule and reason of the
    route; `rings_s`: the phone rings at least this long.

    `transfers`: all transfers, in order; `participants`: the other people in the record, each with its state
    (`desk left`); `hears` and `unheard`: by listener, whom or which sentences it must or must not hear; `context`: by
    person, what reached it.
    """

    end_reason: str | None = None
    without_agent: bool = False
    state: Literal["rejected", "redirected"] | None = None
    route: str | None = None
    rings_s: float | None = Field(default=None, gt=0)
    actions: tuple[str, ...] | None = None
    tools: tuple[ExpectedTool, ...] | None = None
    says: tuple[str, ...] = ()
    tones: str | None = None
    keys: tuple[str, ...] | None = None
    masked: str | None = Field(default=None, pattern=r"^[0-9]{6,64}$")
    hold_tone: bool | None = False
    """`None`: it may be heard."""
    longest_silence_s: float | None = Field(default=None, gt=0)
    silence_at_end_s: float | None = Field(default=None, gt=0)
    transfers: tuple[ExpectedTransfer, ...] | None = None
    participants: tuple[str, ...] | None = None
    informed: tuple[str, ...] = ()
    hears: dict[str, tuple[str, ...]] = {}
    unheard: dict[str, tuple[str, ...]] = {}
    context: dict[str, ExpectedContext] = {}
