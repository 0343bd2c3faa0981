"""Bodies of the control API that act for a person in a call."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class Tones(BaseModel):
    model_config = ConfigDict(extra="forbid")
    tones: str = Field(pattern=r"^[0-9A-D*#]{1,64}$")


class SayRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")
    text: str = Field(min_length=1, max_length=5000)
