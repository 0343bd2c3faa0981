"""Reads agent profiles from a YAML file, which maps profile names to fields (docs/agent-profiles.md)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias, get_args

import yaml
from pydantic import BaseModel, ValidationError

from agent_relay.core.protocol.agent_profile import AgentProfile
from bridge_common.base.errors import InputError
from bridge_common.service import insecure
from bridge_common.service.setting_input import in_words, read_setting_file

DEFAULT: Final = "default"
MOST_NODES: Final = 50_000
MAX_BYTES: Final = 1024 * 1024
_TAG: Final = "tag:yaml.org,2002:"
_JSON_TAGS: Final = (*(f"{_TAG}{name}" for name in ("str", "int", "float", "bool", "null", "seq", "map")), None)


class _Loader(yaml.SafeLoader):
    """YAML loader that accepts only JSON values, because most of a profile is sent to Voice Live; dates stay strings.
    An alias counts as all the nodes that it repeats, so that a small file cannot expand to a huge profile.
    """

    yaml_constructors = {tag: yaml.SafeLoader.yaml_constructors[tag] for tag in _JSON_TAGS}  # noqa: RUF012
    yaml_implicit_resolvers = {  # noqa: RUF012  # class attributes that PyYAML reads
        first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith(":timestamp")]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._nodes = 0
        self._sizes: dict[yaml.Node, int] = {}

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]  # missing in PyYAML's stubs
        before, repeats = self._nodes, self.check_event(yaml.AliasEvent)
        node = super().compose_node(parent, index)
        assert node is not None
        if repeats and node not in self._sizes:
            raise yaml.MarkedYAMLError(problem="an alias refers to the value that contains it", problem_mark=mark)
        self._nodes += self._sizes[node] if repeats else 1
        if self._nodes > MOST_NODES:
            raise yaml.MarkedYAMLError(
                problem=f"more than {MOST_NODES} values after alias expansion", problem_mark=mark
            )
        self._sizes.setdefault(node, self._nodes - before)
        return node


Check: TypeAlias = Callable[[Mapping[str, AgentProfile]], Iterable[str]]
"""Returns mistakes that depend on the settings."""


def load_profiles(path: Path | None, check: Check = lambda _: ()) -> Mapping[str, AgentProfile]:
    """Return the profiles of the file, always with a profile `default`. Raises `InputError`, which lists all errors of
    the file.
    """
    return {DEFAULT: AgentProfile()} if path is None else decode_profiles(path, read_profiles(path), check)


def read_profiles(path: Path) -> bytes:
    """Raises `InputError`."""
    try:
        return read_setting_file(path, MAX_BYTES)
    except InputError as error:
        raise InputError(f"{path} {error.message}") from error


def decode_profiles(path: Path, text: bytes, check: Check) -> Mapping[str, AgentProfile]:
    """Like `load_profiles`, with the content of the file."""
    try:
        content = yaml.load(text.decode(), _Loader)
    except (yaml.YAMLError, ValueError, LookupError, TypeError, OverflowError, RecursionError) as error:
        # PyYAML raises other exceptions than its own for values that do not fit an explicit tag.
        raise InputError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise InputError(f"{path} must contain a mapping from profile names to profiles")
    profiles: dict[str, AgentProfile] = {DEFAULT: AgentProfile()}
    mistakes: list[str] = []
    for name, fields in content.items():
        try:
            profiles[str(name)] = AgentProfile.model_validate(fields or {})
        except ValidationError as error:
            mistakes += [f"{_place(name, problem['loc'])}: {_words(dict(problem))}" for problem in error.errors()]
    if mistakes := [*mistakes, *check(profiles)]:
        raise InputError(f"{path}: " + "; ".join(mistakes))
    return profiles


def target_mistakes(
    profiles: Mapping[str, AgentProfile], secrets: Mapping[str, str], allowed: Collection[str] = ()
) -> Iterator[str]:
    """Secrets that are not set, and insecure endpoints. `allowed`: words of ALLOW_INSECURE."""
    for name, profile in profiles.items():
        if profile.target is None:
            continue
        secret = profile.target.api_key_secret
        if secret and not secrets.get(secret):
            yield f"{name}.target.api_key_secret: the environment variable {secret} is not set"
        for endpoint in profile.target.endpoint:
            faults = [fault for fault in insecure.URL.faults(endpoint) if fault.word not in allowed]
            yield from (f"{name}.target.endpoint: {fault}" for fault in faults)


def _words(problem: dict[str, Any]) -> str:
    if problem["type"] != "extra_forbidden":
        return in_words(problem)
    level = _level(problem["loc"][:-1])
    return f"is unknown; known fields are {', '.join(level.model_fields)}"


def _level(loc: tuple[int | str, ...]) -> type[BaseModel]:
    """Return the model at this place of a profile. Indexes of lists and keys of mappings do not change the level."""
    level: list[type[BaseModel]] = [AgentProfile]
    for part in loc:
        field = next((model.model_fields[part] for model in level if part in model.model_fields), None)
        inner = list(_models(field.annotation)) if field is not None and isinstance(part, str) else []
        level = inner or [model for model in level if model.__name__ == part] or level
    return level[0]


def _models(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models(argument)


def _place(name: object, loc: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in (name, *loc))
