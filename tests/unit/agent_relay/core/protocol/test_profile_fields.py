from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from agent_relay.core.protocol.profile_fields import ArgumentName, FunctionName, Languages, MostTokens, SecretName

GOOD: tuple[tuple[Any, tuple[object, ...]], ...] = (
    (SecretName, ("SHOP_TOKEN", "A", "A1")),
    (FunctionName, ("order_status", "_a", "a-b", "x" * 64)),
    (ArgumentName, ("card_number", "_a")),
    (Languages, ("", "en-US", "de", "en-US, de-DE", "zh-Hant-TW", "es-419")),
    (MostTokens, (1, 4096, "inf")),
)


@pytest.mark.parametrize(("kind", "value"), [(kind, value) for kind, values in GOOD for value in values])
def test_good_values(kind: Any, value: object) -> None:
    assert TypeAdapter(kind).validate_python(value) == value


def test_a_number_of_tokens_may_be_text() -> None:
    assert TypeAdapter[object](MostTokens).validate_python("100") == 100


FAULTS: tuple[tuple[Any, str, tuple[object, ...]], ...] = (
    (SecretName, "must be the name of an environment variable", ("", "lower", "1A", "A\n")),
    (FunctionName, "must begin with a letter or _", ("", "1a", "a b", "ä", "x" * 65)),
    (ArgumentName, "must begin with a letter or _", ("", "a-b")),
    (Languages, "must consist of language tags such as en-US or de", ("german", "en_US", "en,")),
    (MostTokens, "from 1 to 4096, or inf", (0, 4097, -1, 1.5, True, None, "", "x", "99999", [])),
)


@pytest.mark.parametrize(
    ("kind", "fault", "value"), [(kind, fault, value) for kind, fault, values in FAULTS for value in values]
)
def test_faults_name_what_is_allowed(kind: Any, fault: str, value: object) -> None:
    with pytest.raises(ValidationError, match=fault) as caught:
        TypeAdapter(kind).validate_python(value)
    assert len(caught.value.errors()) == 1
