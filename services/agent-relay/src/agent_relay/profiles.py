"""Reads agent profiles from a YAML file, which maps profile names to fields (docs/agent-profiles.md)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias

import yaml
from pydantic import ValidationError

from agent_relay.core.protocol.agent_profile import AgentProfile
from bridge_common.base.errors import InputError
from bridge_common.base.fault_texts import in_words, known_fields, location, unknown_field
from bridge_common.base.yaml_faults import yaml_fault
from bridge_common.service import insecure
from bridge_common.service.setting_input import read_setting_file

DEFAULT: Final = "default"
MOST_NODES: Final = 50_000
MAX_BYTES: Final = 1024 * 1024
_TAG: Final = "tag:yaml.org,2002:"
_TEXTS: Final = {"missing": "is missing"}
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
    content = _content(path, text)
    profiles: dict[str, AgentProfile] = {DEFAULT: AgentProfile()}
    mistakes: list[str] = []
    for name, fields in content.items():
        try:
            profiles[name] = AgentProfile.model_validate({} if fields is None else fields)
        except ValidationError as error:
            mistakes += [
                f"{location((name, *problem['loc']), content)}: {_words(dict(problem))}" for problem in error.errors()
            ]
    if mistakes := [*mistakes, *check(profiles)]:
        raise InputError(f"{path}: " + "; ".join(mistakes))
    return profiles


def _content(path: Path, text: bytes) -> dict[str, Any]:
    """Return the unchecked profiles by name. Raises `InputError`."""
    try:
        loader = _Loader(text.decode())
        node = loader.get_single_node()
        if mistakes := list(_key_mistakes(node, set())):
            raise InputError(f"{path}: " + "; ".join(mistakes))
        content = None if node is None else loader.construct_document(node)
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not valid UTF-8; save it as UTF-8") from error
    except (yaml.YAMLError, ValueError, LookupError, TypeError, OverflowError, RecursionError) as error:
        # PyYAML raises other exceptions than its own for values that do not fit an explicit tag.
        raise InputError(f"{path} is not valid YAML: {yaml_fault(error)}") from error
    if not isinstance(content, dict):
        raise InputError(f"{path} must contain a mapping from profile names to profiles")
    return {str(name): fields for name, fields in content.items()}


def _key_mistakes(node: yaml.Node | None, seen: set[int]) -> Iterator[str]:
    """Names that occur twice in a mapping, of which YAML silently uses the last one, and names that are no strings."""
    if id(node) in seen:
        return  # an alias
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _key_mistakes(item, seen)
    elif isinstance(node, yaml.MappingNode):
        names: dict[str, int] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if fault := _key_fault(key, names):
                yield f"line {line}: {fault}"
            elif isinstance(key.value, str):
                names[key.value] = line
            yield from _key_mistakes(value, seen)


def _key_fault(key: yaml.Node, names: Mapping[str, int]) -> str:
    name, kind = key.value, str(key.tag).removeprefix(_TAG)
    if not isinstance(name, str):
        return "a name must be a string"
    if kind == "bool":
        return f"YAML reads the name {name} as true or false; put it in quotes"
    if not name.strip():
        return "the name is empty; add one"
    if kind == "null" or (kind in ("int", "float") and not (name.isdecimal() and str(int(name)) == name)):
        return f"YAML does not read the name {name} as a string; put it in quotes"
    return f"the name {name!r} occurs twice, first in line {names[name]}; remove one of them" if name in names else ""


def target_mistakes(
    profiles: Mapping[str, AgentProfile], secrets: Mapping[str, str], allowed: Collection[str] = ()
) -> Iterator[str]:
    """Secrets that are not set, and insecure endpoints. `allowed`: words of ALLOW_INSECURE."""
    for name, profile in profiles.items():
        if profile.target is None:
            continue
        secret = profile.target.api_key_secret
        if secret and not secrets.get(secret):
            place = f"{name}.target.api_key_secret"
            yield f"{place}: the environment variable {secret} is not set, and is no file in SECRETS_DIR"
        for endpoint in profile.target.endpoint:
            faults = [fault for fault in insecure.URL.faults(endpoint) if fault.word not in allowed]
            yield from (f"{name}.target.endpoint: {fault}" for fault in faults)


def _words(problem: Mapping[str, Any]) -> str:
    if problem["type"] != "extra_forbidden":
        return in_words(problem, _TEXTS, AgentProfile)
    *place, name = problem["loc"]
    return unknown_field(name, known_fields(AgentProfile, place))
