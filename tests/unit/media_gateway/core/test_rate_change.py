from __future__ import annotations

import sys

import pytest

from media_gateway.core import rate_change as module
from media_gateway.core.rate_change import RESAMPLER, SameRate, rate_change
from media_gateway.core.resampler import Resampler

_COMPILED = "media_gateway.core.compiled_resampler"


def test_equal_rates_pass_untouched() -> None:
    same = rate_change(24_000, 24_000)
    assert isinstance(same, SameRate)
    assert same.feed(b"\x01\x02\x03\x04") == b"\x01\x02\x03\x04"
    same.reset()
    assert same.flush() == b""
    assert same.delay_ms == 0


def test_other_rates_get_the_fastest_resampler_there_is() -> None:
    assert type(rate_change(16_000, 24_000)) is RESAMPLER


def test_numpy_serves_where_nothing_was_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, _COMPILED, None)  # importing it is a ModuleNotFoundError
    resampler, read_frame = module._fastest()
    assert resampler is Resampler
    assert read_frame(memoryview(b"{}"), 960, None) is None


def test_a_compiled_module_that_does_not_load_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        def __getattr__(self, name: str) -> object:
            raise ImportError("undefined symbol")

    monkeypatch.setitem(sys.modules, _COMPILED, Broken())
    with pytest.raises(ImportError, match="undefined symbol"):
        module._fastest()
