"""Errors of settings, profiles, policies and requests are in our words: each field is tried with values of wrong types
and sizes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, get_args

import pytest
from pydantic import BaseModel, ValidationError
from pydantic_settings import BaseSettings

from agent_relay.core.protocol.agent_profile import AgentProfile
from agent_relay.settings import RelaySettings
from bridge_common.base.fault_texts import in_words
from call_control.core.policy.routing_policy import Policy
from call_control.core.routing_preview import PreviewRequest
from call_control.settings import CallControlSettings
from media_gateway.settings import GatewaySettings

_ODD: Final[tuple[Any, ...]] = (
    *(None, True, -1, 0, 10**9, 1.5, float("inf"), "", " ", "x y?", "5", "y" * 30_000, "\ud800", b"\xff"),
    *([], [1], [None], ["x y?"], ["z"] * 2_000, [{"odd": 1}], {}, {"odd": 1}, {1: 2}, {"a b": []}, {"x": {"odd": 1}}),
    {"": "x"},
)


def _models(annotation: object, seen: set[type[BaseModel]]) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        if annotation in seen:
            return
        seen.add(annotation)
        yield annotation
        for field in annotation.model_fields.values():
            yield from _models(field.annotation, seen)
            for metadata in field.metadata:
                yield from _models(metadata, seen)
    for argument in get_args(annotation):
        yield from _models(argument, seen)


_SEEN: set[type[BaseModel]] = set()
MODELS: Final = [
    model
    for root in (RelaySettings, CallControlSettings, GatewaySettings, AgentProfile, Policy, PreviewRequest)
    for model in _models(root, _SEEN)
]


def test_nested_models_are_found() -> None:
    names = {model.__name__ for model in MODELS}
    assert names >= {
        "HttpTool",
        "SecretRef",
        "McpServer",
        "KeypadArgument",
        "TargetProfile",
        "Rule",
        "Target",
        "Calendar",
    }


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_no_text_of_the_library_is_shown(model: type[BaseModel]) -> None:
    raw: set[str] = set()
    for name in (*model.model_fields, "no_such_field"):
        for value in _ODD:
            for problem in _problems(model, {name: value}):
                if problem["type"] not in ("value_error", "setting") and in_words(problem) == problem["msg"]:
                    raw.add(f"{problem['type']}: {problem['msg']}")
    assert raw == set()


def _problems(model: type[BaseModel], values: dict[str, Any]) -> Iterator[dict[str, Any]]:
    settings = issubclass(model, BaseSettings)
    value = next(iter(values.values()))
    if settings and not (isinstance(value, str) and value.isascii() and len(value) < 100):
        return  # the environment has only texts
    try:
        if settings:
            model(**values)
        else:
            model.model_validate(values)
    except ValidationError as error:
        yield from (dict(problem) for problem in error.errors())
