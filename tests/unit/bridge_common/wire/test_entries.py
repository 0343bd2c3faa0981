"""The entries; their codec is tested in test_entry_codec.py."""

from __future__ import annotations

import pytest

from bridge_common.wire.entries import Callback


def test_entries_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        Callback("call", "event", "type", "{}").data = "other"  # type: ignore[misc]  # that is the point
