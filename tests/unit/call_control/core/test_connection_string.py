from __future__ import annotations

import pytest

from bridge_common.base.errors import InputError
from call_control.core.connection_string import AcsAddress, endpoint_of, parse_connection_string


@pytest.mark.parametrize(
    ("text", "endpoint"),
    [
        ("endpoint=https://r.communication.azure.com/;accesskey=a2V5PT0=", "https://r.communication.azure.com"),
        ("Endpoint=http://127.0.0.1:8090/;AccessKey=a2V5PT0=;", "http://127.0.0.1:8090"),
        (" accesskey=a2V5PT0=;endpoint=r.communication.azure.com ", "https://r.communication.azure.com"),
    ],
)
def test_connection_strings(text: str, endpoint: str) -> None:
    assert parse_connection_string(text) == AcsAddress(endpoint, "a2V5PT0=")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "endpoint=https://r/",
        "accesskey=geheim",
        "endpoint=;accesskey=geheim",
        "geheim",
        "endpoint=ftp://r;accesskey=x",
    ],
)
def test_bad_connection_strings_are_refused_without_repeating_them(text: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_connection_string(text)
    assert "geheim" not in caught.value.message


def test_the_key_does_not_show() -> None:
    assert "geheim" not in repr(AcsAddress("https://r", "geheim"))


@pytest.mark.parametrize("text", ["https://", "https://r/path", "https://r?x=1", "ws://r"])
def test_bad_endpoints(text: str) -> None:
    with pytest.raises(InputError):
        endpoint_of(text)
