from __future__ import annotations

import runpy

import pytest

from call_control.core.machine.diagram import page


def test_it_prints_the_page(capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_module("call_control.call_states", run_name="__main__")
    assert capsys.readouterr().out == page()
