from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from agent_relay.core.protocol.profile_fields import ArgumentName, FunctionName, Languages, MostTokens, SecretName


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        *((SecretName, value) for value in ("SHOP_TOKEN", "A", "A1")),
        *((FunctionName, value) for value in ("order_status", "_a", "a-b", "x" * 64)),
        *((ArgumentName, value) for value in ("card_number", "_a")),
        *((Languages, value) for value in ("", "en-US", "de", "en-US, de-DE", "zh-Hant-TW", "es-419")),
        *((MostTokens, value) for value in (1, 4096, "inf")),
    ],
)
def test_good_values(kind: Any, value: object) -> None:
    assert TypeAdapter(kind).validate_python(value) == value


def test_a_number_of_tokens_may_be_text() -> None:
    assert TypeAdapter[object](MostTokens).validate_python("100") == 100


@pytest.mark.parametrize(
    ("kind", "value", "fault"),
    [
        *((SecretName, value, "must be the name of an environment variable") for value in ("", "lower", "1A", "A\n")),
        *((FunctionName, value, "must begin with a letter or _") for value in ("", "1a", "a b", "ä", "x" * 65)),
        *((ArgumentName, value, "must begin with a letter or _") for value in ("", "a-b")),
        *(
            (Languages, value, "must consist of language tags such as en-US or de")
            for value in ("german", "en_US", "en,")
        ),
        *(
            (MostTokens, value, "from 1 to 4096, or inf")
            for value in (0, 4097, -1, 1.5, True, None, "", "x", "99999", [])
        ),
    ],
)
def test_faults_name_what_is_allowed(kind: Any, value: object, fault: str) -> None:
    with pytest.raises(ValidationError, match=fault) as caught:
        TypeAdapter(kind).validate_python(value)
    assert len(caught.value.errors()) == 1
