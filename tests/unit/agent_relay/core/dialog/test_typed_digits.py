from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_relay.core.dialog.conversation_commands import RunTool
from agent_relay.core.dialog.typed_digits import MASK, TypedDigits

CARD = TypedDigits("card_number", "4111111111111111")


def test_no_text_about_them_contains_them() -> None:
    for shown in (str(CARD), repr(CARD), f"{RunTool('c1', 'pay', '{}', CARD)}"):
        assert "4111" not in shown
        assert "card_number" in shown


@pytest.mark.parametrize(
    "echo",
    ["4111111111111111", "4111 1111 1111 1111", "4111-1111-1111-1111", "4111.1111.1111.1111", "4111 - 1111 11111111"],
)
def test_an_echo_is_masked_in_any_common_notation(echo: str) -> None:
    assert CARD.redacted(f'{{"card":"{echo}","ok":true}}') == f'{{"card":"{MASK}","ok":true}}'
    assert CARD.redacted(f"99{echo}99") == f"99{MASK}99"


def test_other_numbers_stay() -> None:
    assert CARD.redacted('{"last_four":"1111","price":4111}') == '{"last_four":"1111","price":4111}'
    pin = TypedDigits("pin", "1234")
    assert pin.redacted('{"pin":1234,"order":12345,"text":"pin 1234."}') == (
        f'{{"pin":{MASK},"order":12345,"text":"pin {MASK}."}}'
    )


@given(st.text(alphabet="0123456789 -.,a", max_size=60), st.text(alphabet="0123456789", min_size=6, max_size=20))
def test_long_digits_are_nowhere_afterwards(text: str, digits: str) -> None:
    typed = TypedDigits("n", digits)
    assert digits not in typed.redacted(f"{text}{digits}{text}")
