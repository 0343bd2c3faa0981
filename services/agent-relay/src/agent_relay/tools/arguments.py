"""Decodes the arguments of a function call. The messages of errors are for the model."""

from __future__ import annotations

import json
from typing import Any, Final, NoReturn

from jsonschema import Draft202012Validator, ValidationError

from bridge_common.base.errors import InputError

_LONGEST_MESSAGE: Final = 300
_LONGEST_PLACE: Final = 100
_NESTED: Final = "The arguments are nested too deeply."


def decode_arguments(text: str) -> Any:
    """Raises `InputError` for values that are not JSON, or cannot be sent as JSON in UTF-8."""
    try:
        found = json.loads(text or "{}", parse_constant=_refuse)
        json.dumps(found, ensure_ascii=False, allow_nan=False).encode()
    except UnicodeEncodeError as error:
        raise InputError("The arguments contain a lone surrogate (\\ud800 to \\udfff).") from error
    except ValueError as error:
        raise InputError("The arguments are not valid JSON.") from error
    except RecursionError as error:
        raise InputError(_NESTED) from error
    return found


def check_arguments(arguments: object, validator: Draft202012Validator) -> None:
    """Raises `InputError` if the arguments do not match the schema. Its message repeats only short values."""
    try:
        fault = next(iter(validator.iter_errors(arguments)), None)
    except RecursionError as error:
        raise InputError(_NESTED) from error
    if fault is not None:
        raise InputError(f"The arguments are not valid: {_words(fault)}")


def _words(fault: ValidationError) -> str:
    place = "".join(f"{part}: " for part in fault.path)[:_LONGEST_PLACE]
    if len(fault.message) <= _LONGEST_MESSAGE:
        return place + fault.message
    rule = json.dumps({fault.validator: fault.validator_value})[:_LONGEST_MESSAGE]
    return f"{place}the value does not match {rule} of the schema"


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
