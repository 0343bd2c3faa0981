"""Call references, and the variants of them that models write."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge_common.wire.call_reference import digest, mint, normalized


def test_a_reference_has_its_form_and_is_never_the_same() -> None:
    minted = {mint() for _ in range(100)}
    assert len(minted) == 100
    assert all(
        re.fullmatch(r"[0-9A-HJKMNP-TV-Z]{4}-[0-9A-HJKMNP-TV-Z]{4}-[0-9A-HJKMNP-TV-Z]{2}", one) for one in minted
    )


@pytest.mark.parametrize(
    "given_", ["7QK4-M2X9-R0", "7qk4m2x9r0", " 7QK4 M2X9 RO ", "7QK4-M2X9-Ro", "7-Q-K-4-M-2-X-9-R-0"]
)
def test_what_models_write_is_read(given_: str) -> None:
    assert normalized(given_) == "7QK4-M2X9-R0"


@pytest.mark.parametrize("given_", ["", "7QK4-M2X9", "7QK4-M2X9-R0X", "the reference", "7QK4-M2X9-RU", "７QK4-M2X9-R0"])
def test_anything_else_is_none(given_: str) -> None:
    assert normalized(given_) == ""


@given(st.text())
def test_no_text_is_an_error(text: str) -> None:
    assert normalized(normalized(text)) == normalized(text)


def test_the_digest_is_of_one_reference() -> None:
    assert digest("7QK4-M2X9-R0") != digest("7QK4-M2X9-R1")
    assert "7QK4" not in digest("7QK4-M2X9-R0")
