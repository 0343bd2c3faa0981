"""Tests and examples that only the nightly workflow runs, which sets NIGHTLY. By day `make test` runs a part of the
examples, and none of the tests that take long and find little that others do not.
"""

from __future__ import annotations

import os
from typing import Final

import pytest

NIGHTLY: Final = bool(os.environ.get("NIGHTLY"))
_FEWEST: Final = 25

nightly: Final = pytest.mark.skipif(not NIGHTLY, reason="only the nightly workflow runs it; NIGHTLY=1 runs it here")


def examples(nightly_count: int) -> int:
    """Return the number of examples of a property: all of them at night, a quarter by day."""
    return nightly_count if NIGHTLY else max(nightly_count // 4, min(nightly_count, _FEWEST))
