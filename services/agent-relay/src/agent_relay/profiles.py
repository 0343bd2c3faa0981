"""The agent profiles of a YAML file: a mapping from the profile's name to what it says."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml
from pydantic import ValidationError

from agent_relay.core.agent_profile import AgentProfile, Greeting
from bridge_common.errors import InputError
from bridge_common.mistakes import in_words

DEFAULT: Final = "default"


def load_profiles(path: Path | None) -> Mapping[str, AgentProfile]:
    """All profiles of the file and always a `default`. Raises `InputError` that names every mistake."""
    if path is None:
        return {DEFAULT: AgentProfile()}
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is no YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise InputError(f"{path} is not a mapping from profile names to profiles")
    profiles: dict[str, AgentProfile] = {DEFAULT: AgentProfile()}
    mistakes: list[str] = []
    for name, fields in content.items():
        try:
            profiles[str(name)] = AgentProfile.model_validate(fields or {})
        except ValidationError as error:
            mistakes += [f"{_place(name, problem['loc'])}: {_words(dict(problem))}" for problem in error.errors()]
    if mistakes:
        raise InputError(f"{path}: " + "; ".join(mistakes))
    return profiles


def _words(problem: dict[str, Any]) -> str:
    if problem["type"] != "extra_forbidden":
        return in_words(problem)
    known = Greeting if "greeting" in problem["loc"][:-1] else AgentProfile
    return f"is unknown; known are {', '.join(known.model_fields)}"


def _place(name: object, loc: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in (name, *loc))
