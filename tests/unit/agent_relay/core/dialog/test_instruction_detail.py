from __future__ import annotations

import pytest

from agent_relay.core.dialog.instruction_detail import detail_of, text_in


@pytest.mark.parametrize("text", ["", "nonsense", "[]", "7", '"x"', "{", "[" * 100_000])
def test_an_invalid_detail_is_empty(text: str) -> None:
    assert detail_of(text) == {}


def test_a_text_of_a_detail() -> None:
    detail = detail_of('{"name":"sales","joined":true}')
    assert [text_in(detail, name) for name in ("name", "joined", "reason")] == ["sales", "", ""]
