from __future__ import annotations

import pytest

from bridge_common.service.telemetry_settings import check_connection_string

KEY = "InstrumentationKey=00000000-0000-0000-0000-000000000001"


@pytest.mark.parametrize("rest", ["", ";IngestionEndpoint=https://x.example/;LiveEndpoint=https://y.example/"])
def test_a_string_of_a_resource_is_accepted(rest: str) -> None:
    check_connection_string(KEY + rest)


@pytest.mark.parametrize("text", ["hidden", "InstrumentationKey=hidden", f"{KEY};IngestionEndpoint=hidden", f"{KEY};"])
def test_others_are_refused_without_repeating_them(text: str) -> None:
    with pytest.raises(ValueError, match="copied whole") as caught:
        check_connection_string(text)
    assert "hidden" not in str(caught.value)
