"""A routing policy's text, YAML or JSON, as plain values."""

from __future__ import annotations

import json
from typing import Final

import yaml

from call_control.core.policy.plain_yaml import PlainYaml
from call_control.core.policy.routing_policy import Policy, PolicyError, decode_policy

MAX_BYTES: Final = 64 * 1024


def policy_of_text(text: bytes, *, as_json: bool = False) -> Policy:
    """Raises `PolicyError` that names every mistake, for a text that cannot be read its line."""
    if len(text) > MAX_BYTES:
        raise PolicyError([f"the text is longer than {MAX_BYTES} bytes"])
    return decode_policy(_from_json(text) if as_json else _from_yaml(text))


def _from_yaml(text: bytes) -> object:
    try:
        return PlainYaml(text.decode()).value()
    except UnicodeDecodeError as error:
        raise PolicyError(["the text is not in UTF-8"]) from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise PolicyError([f"{place}{error.problem or 'this is no YAML'}"]) from error
    except (yaml.YAMLError, RecursionError, ValueError, OverflowError) as error:
        # The last two: the scanner passes the number of an escape such as "\UFFFFFFFF" to chr().
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
