"""The number of examples by day and at night."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest


@pytest.mark.parametrize(("night", "expected"), [("", "100 25 10"), ("1", "400 40 10")])
def test_all_examples_run_at_night_and_a_quarter_by_day(night: str, expected: str) -> None:
    program = "from tests.support.nightly import examples; print(examples(400), examples(40), examples(10))"
    environment = {**os.environ, "NIGHTLY": night}
    found = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == expected
