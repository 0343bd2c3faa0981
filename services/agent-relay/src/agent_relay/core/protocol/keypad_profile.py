"""Fields of an agent profile for the caller's key presses."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, model_serializer, model_validator

from agent_relay.core.protocol.profile_fields import ArgumentName

KeyMode = Literal["ignore", "agent", "transcript", "masked"]
MOST_KEYS: Final = 64


class KeypadProfile(BaseModel):
    """The recipient of the caller's keys, and when they are complete. In a profile, the mode alone is enough."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    mode: KeyMode = "agent"
    """`agent` sends the keys to the agent, but the transcript contains only their number; `transcript` includes them in
    both; `masked` sends them only to the tool that asks for them.
    """
    end_key: Literal["#", "*", "none"] = "#"
    pause_s: Annotated[float, Field(ge=0.5, le=30)] = 2.0
    """Keys are complete after this time without another one."""
    max_digits: Annotated[int, Field(ge=1, le=MOST_KEYS)] = MOST_KEYS

    @model_validator(mode="before")
    @classmethod
    def _mode_alone(cls, value: Any) -> Any:
        if isinstance(value, str):
            return {"mode": value}
        if isinstance(value, dict) and value.get("end_key", "") is None:
            raise ValueError("`end_key` is empty; put # in quotes, or write none")
        return value

    @model_serializer
    def _short(self) -> Any:
        """Return the mode alone if nothing else is set, so that both forms have the same profile version."""
        values = {name: getattr(self, name) for name in type(self).model_fields}
        defaults = KeypadProfile(mode=self.mode)
        changed = {name: value for name, value in values.items() if value != getattr(defaults, name)}
        return {"mode": self.mode, **changed} if changed else self.mode


class KeypadArgument(BaseModel):
    """The argument of a tool that the caller types. The model neither sees nor sets it."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    argument: ArgumentName
    min_digits: Annotated[int, Field(ge=1, le=MOST_KEYS)] = 1
    max_digits: Annotated[int, Field(ge=1, le=MOST_KEYS)] = MOST_KEYS
    """Digits are complete at once when there are so many."""
    ask_text: Annotated[str, Field(min_length=1, max_length=1000)] = (
        "Please type it on the keys of your phone, and then press the hash key."
    )
    """Text that is spoken if the agent calls the tool without saying anything."""
    wait_s: Annotated[float, Field(ge=3, le=120)] = 20.0
    """Longest time without a key, while nobody speaks, until the tool fails."""

    @model_validator(mode="after")
    def _range(self) -> KeypadArgument:
        if self.min_digits > self.max_digits:
            raise ValueError(
                f"min_digits must not be greater than max_digits, got {self.min_digits} and {self.max_digits}"
            )
        return self
