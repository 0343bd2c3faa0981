"""Types of profile fields whose errors name what is allowed."""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field, PlainValidator

from bridge_common.base.fault_texts import matching

MOST_TOKENS: Final = 4096
_LANGUAGE: Final = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*")


def _languages(value: str) -> str:
    tags = [tag.strip() for tag in value.split(",")] if value else []
    if unknown := [tag for tag in tags if not _LANGUAGE.fullmatch(tag)]:
        raise ValueError(
            "must consist of language tags such as en-US or de, separated by commas, got "
            f"{', '.join(repr(tag[:40]) for tag in unknown)}"
        )
    return value


def _tokens(value: object) -> object:
    number = int(value) if isinstance(value, str) and re.fullmatch(r"[0-9]{1,4}", value) else value
    if number != "inf" and (type(number) is not int or not 1 <= number <= MOST_TOKENS):
        raise ValueError(f"must be an integer from 1 to {MOST_TOKENS}, or inf")
    return number


SecretName = Annotated[
    str,
    AfterValidator(
        matching(
            r"[A-Z][A-Z0-9_]{0,63}",
            "must be the name of an environment variable: capital letters, digits and _, such as SHOP_TOKEN",
        )
    ),
]
FunctionName = Annotated[
    str,
    AfterValidator(
        matching(
            r"[A-Za-z_][A-Za-z0-9_-]{0,63}",
            "must begin with a letter or _, and consist of up to 64 letters (A to Z, a to z), digits, _ and -",
        )
    ),
]
ArgumentName = Annotated[
    str,
    AfterValidator(
        matching(
            r"[A-Za-z_][A-Za-z0-9_]{0,63}",
            "must begin with a letter or _, and consist of up to 64 letters (A to Z, a to z), digits and _",
        )
    ),
]
Languages = Annotated[str, Field(max_length=100), AfterValidator(_languages)]
"""Language tags (BCP 47), separated by commas; empty: the service detects the language."""
MostTokens = Annotated[int | Literal["inf"], PlainValidator(_tokens)]
