"""The token in a call's media URL."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge_common.base.errors import AuthError
from bridge_common.base.ids import call_id_of
from bridge_common.wire.media_token import check, mint

CALL = call_id_of("a")
NOW = 1_700_000_000


def test_a_minted_token_is_good_until_it_expires() -> None:
    token = mint(["key"], CALL, NOW + 60)
    check(["key"], CALL, token, NOW)
    check(["key"], CALL, token, NOW + 60)
    with pytest.raises(AuthError, match="expired 1 s ago"):
        check(["key"], CALL, token, NOW + 61)


def test_it_fits_into_a_path() -> None:
    token = mint(["key"], CALL, NOW)
    assert token.replace(".", "").replace("-", "").replace("_", "").isalnum()


@pytest.mark.parametrize(
    ("keys", "call_id"), [(["other"], CALL), ([], CALL), (["key"], call_id_of("b")), (["key"], "")]
)
def test_a_wrong_key_or_call_is_refused(keys: list[str], call_id: str) -> None:
    with pytest.raises(AuthError, match="not valid for this call"):
        check(keys, call_id, mint(["key"], CALL, NOW + 60), NOW)


def test_a_later_expiry_cannot_be_written_in() -> None:
    _, _, signature = mint(["key"], CALL, NOW - 1).partition(".")
    with pytest.raises(AuthError, match="not valid for this call"):
        check(["key"], CALL, f"{NOW + 60}.{signature}", NOW)


def test_keys_are_rotated_by_putting_the_new_one_in_front() -> None:
    old = mint(["old"], CALL, NOW + 60)
    new = mint(["new", "old"], CALL, NOW + 60)
    for token in (old, new):
        check(["new", "old"], CALL, token, NOW)
    with pytest.raises(AuthError):
        check(["new"], CALL, old, NOW)
    check(["new"], CALL, new, NOW)


@given(st.text(alphabet=st.characters()))
def test_made_up_tokens_are_refused_and_break_nothing(token: str) -> None:
    with pytest.raises(AuthError):
        check(["key"], CALL, token, NOW)


@given(st.integers(0, 70), st.characters())
def test_one_changed_character_is_refused(position: int, character: str) -> None:
    token = mint(["key"], CALL, NOW + 60)
    position %= len(token)
    changed = token[:position] + character + token[position + 1 :]
    if changed != token:
        with pytest.raises(AuthError):
            check(["key"], CALL, changed, NOW)
