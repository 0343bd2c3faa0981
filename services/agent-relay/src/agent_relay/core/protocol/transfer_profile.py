"""Fields of an agent profile for transfers: the targets, and the texts around a transfer (ADR 44)."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import replace
from typing import Annotated, Final, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    field_validator,
    model_validator,
)

from bridge_common.base.fault_texts import matching
from bridge_common.wire.action_kinds import target_fault
from bridge_common.wire.agent_tools import AgentTool

MOST_TARGETS: Final = 50
MOST_WORDS: Final = 20
_PLACEHOLDER: Final = re.compile(r"\{([^{}]*)\}|[{}]")
_PLACEHOLDERS: Final = ("caller", "topic")
_DESCRIPTION: Final = "questions about invoices"
_WITH_TARGET: Final = ("transfer_call", "add_participant")
_KEY_NAMES: Final = {"*": "star", "#": "hash"}

Phrase = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1_000)]
Key = Annotated[str, AfterValidator(matching(r"[0-9*#]", "must be one key in quotes: 0 to 9, * or #"))]
Word = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=40)]


def _target_name(value: str) -> str:
    if target_fault("the name", value):
        raise ValueError(
            "the name of a target must begin with a letter or digit, and consist of up to 64 letters (A to Z, a to z), "
            "digits, spaces, ., _ and -"
        )
    return value


TargetName = Annotated[str, AfterValidator(_target_name)]


def _described(value: object) -> object:
    if value is None or (isinstance(value, str) and not value.strip()):
        raise ValueError(f"has no description; write one for the model, such as {_DESCRIPTION!r}")
    return value


Description = Annotated[Phrase, BeforeValidator(_described)]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Confirmation(_Strict):
    """How a person confirms that they take the call, so that a voicemail does not get it: with a key or a word."""

    key: Key | None = None
    words: Annotated[tuple[Word, ...], Field(min_length=1, max_length=MOST_WORDS)] | None = None
    text: Phrase | None = None
    """The question; None: a sentence in English that names the key or the first word."""
    wait_s: Annotated[float, Field(ge=3, le=60)] = 15.0
    """Time for the answer, from the end of the question. After half of it, the question is repeated."""

    @model_validator(mode="after")
    def _one_of_both(self) -> Confirmation:
        if (self.key is None) == (self.words is None):
            both = "contains both `key` and `words`; keep one"
            raise ValueError("must contain either `key` or `words`" if self.key is None else both)
        return self

    @property
    def question(self) -> str:
        if self.text is not None:
            return self.text
        if self.key is not None:
            return f"To take the call, press {_KEY_NAMES.get(self.key, self.key)}."
        return f"To take the call, say {(self.words or ('yes',))[0]}."

    def accepts(self, spoken: str) -> bool:
        """Return whether one of the words is in the spoken text, as a whole word."""
        text = spoken.casefold()
        return any(re.search(rf"(?<!\w){re.escape(word.casefold())}(?!\w)", text) for word in self.words or ())


class TransferProfile(_Strict):
    targets: Annotated[dict[TargetName, Description], Field(max_length=MOST_TARGETS)] = Field(default_factory=dict)
    """Targets of the routing policy that the agent may call, each with a description for the model. Empty: the agent
    learns the names from its instructions.
    """
    connecting_text: Phrase = "One moment please, I am connecting you."
    """Text that is spoken before a transfer if the agent has not announced it."""
    introduction: Phrase | None = None
    """Text that the person and the caller hear when the person has answered, with `{caller}` and `{topic}`."""
    caller_text: Phrase = "the caller"
    """Replaces `{caller}` in a call without a name and a number."""
    confirm: Confirmation | None = None
    """None: the person who answers gets the call without a confirmation."""
    return_key: Key | None = None
    """Key with which the caller gets the agent back while they talk with a person."""
    hears: Literal["caller", "all"] = "caller"
    """The people whom the agent hears in a call with several of them."""

    @field_validator("targets", mode="before")
    @classmethod
    def _mapping(cls, value: object) -> object:
        if isinstance(value, list | str):
            raise ValueError(f"must be a mapping from names to descriptions, such as {{billing: {_DESCRIPTION}}}")
        return value

    @field_validator("introduction")
    @classmethod
    def _placeholders(cls, value: str | None) -> str | None:
        found = (match[1] if match[1] is not None else match[0] for match in _PLACEHOLDER.finditer(value or ""))
        if unknown := sorted({name for name in found if name not in _PLACEHOLDERS}):
            raise ValueError(f"contains unknown placeholders: {', '.join(unknown)}; known are {{caller}} and {{topic}}")
        return value

    @model_validator(mode="after")
    def _different_keys(self) -> TransferProfile:
        if self.confirm is not None and self.confirm.key is not None and self.confirm.key == self.return_key:
            raise ValueError(
                f"`confirm.key` and `return_key` must be different keys, got {self.return_key} for both; ACS does not "
                "always report who has pressed a key"
            )
        return self

    def fault_beside(self, actions: Collection[str], end_key: str) -> str:
        """Return the conflict with other fields of the agent profile, "" if there is none. `end_key`: of `dtmf`."""
        if self.return_key == end_key:
            return (
                f"`transfer.return_key` must not be the `end_key` of `dtmf`, got {end_key} for both; choose another key"
            )
        if self.targets and not any(name in actions for name in _WITH_TARGET):
            needed = " or ".join(_WITH_TARGET)
            return f"`transfer.targets` have no effect without {needed} in `actions`; add one of them"
        return ""

    def bound(self, tool: AgentTool) -> AgentTool:
        """Return the tool with the targets as the allowed values of its argument `target`."""
        if not self.targets or "target" not in tool.properties:
            return tool
        choices = "; ".join(f"{name}: {text}" for name, text in self.targets.items())
        target = {"type": "string", "enum": list(self.targets), "description": f"Whom to call. {choices}"}
        return replace(tool, properties={**tool.properties, "target": target})
