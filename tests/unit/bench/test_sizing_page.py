from __future__ import annotations

import pytest

from bench.sizing import NotMeasuredError
from bench.sizing_page import BEGIN, END, PAGE_PATH, with_figures
from tests.unit.support.alone_runs import sizing_figures


def results() -> dict[str, object]:
    return {"at_unix_s": 1_800_000_000, "machine": {"cpu": "A CPU", "cores": 2}, "whole": sizing_figures()}


def test_figures_are_replaced_and_words_stay() -> None:
    page = f"# Words\n\n{BEGIN}\nold\n{END}\n\nMore words.\n"
    once = with_figures(page, results())
    assert once.startswith("# Words\n")
    assert once.endswith(f"{END}\n\nMore words.\n")
    assert "old" not in once
    assert "| media-gateway: pods | 2 | 7 | 54 |" in once
    assert with_figures(once, results()) == once


def test_without_figures_nothing_is_written() -> None:
    with pytest.raises(NotMeasuredError):
        with_figures("", {**results(), "whole": {}})


def test_the_page_has_a_place_for_them() -> None:
    page = PAGE_PATH.read_text(encoding="utf-8")
    assert page.count(f"{BEGIN}\n") == page.count(f"{END}\n") == 1
