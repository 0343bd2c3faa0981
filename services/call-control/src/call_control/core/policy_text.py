"""A routing policy's text, YAML or JSON, as plain values."""

from __future__ import annotations

import json
from collections.abc import Hashable
from typing import Any, Final

import yaml

from call_control.core.routing_policy import Policy, PolicyError, decode_policy

MAX_BYTES: Final = 64 * 1024


class _PolicyLoader(yaml.SafeLoader):
    """Leaves numbers and times as they are written: `+18005551212` is no integer, and `20:00` not 1,200."""

    yaml_implicit_resolvers = {  # noqa: RUF012  # the class attribute that PyYAML reads
        first: [(tag, pattern) for tag, pattern in resolvers if tag.endswith((":bool", ":null", ":merge"))]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[object] = set()
        for key, _ in node.value:
            if key.value in seen and key.tag != "tag:yaml.org,2002:merge":
                raise yaml.constructor.ConstructorError(None, None, "a field is given twice", key.start_mark)
            if isinstance(key.value, Hashable):
                seen.add(key.value)
        return super().construct_mapping(node, deep)


def policy_of_text(text: bytes, *, as_json: bool = False) -> Policy:
    """Raises `PolicyError` that names every mistake, for a text that cannot be read its line."""
    if len(text) > MAX_BYTES:
        raise PolicyError([f"the text is longer than {MAX_BYTES} bytes"])
    return decode_policy(_from_json(text) if as_json else _from_yaml(text))


def _from_yaml(text: bytes) -> object:
    try:
        return yaml.load(text.decode(), _PolicyLoader)
    except UnicodeDecodeError as error:
        raise PolicyError(["the text is not in UTF-8"]) from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise PolicyError([f"{place}{error.problem or 'this is no YAML'}"]) from error
    except (yaml.YAMLError, RecursionError, ValueError, TypeError) as error:
        raise PolicyError(["the text is no YAML"]) from error


def _from_json(text: bytes) -> object:
    try:
        found: object = json.loads(text, object_pairs_hook=_once)
    except json.JSONDecodeError as error:
        raise PolicyError([f"line {error.lineno}, column {error.colno}: {error.msg}"]) from error
    except (ValueError, RecursionError) as error:
        raise PolicyError(["the text is no JSON in UTF-8"]) from error
    return found


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise PolicyError(["a field is given twice"])
    return found
