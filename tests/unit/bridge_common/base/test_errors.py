"""The error tree: base classes, codes and details."""

from __future__ import annotations

import pytest
from azure.core.exceptions import HttpResponseError
from redis.exceptions import NoPermissionError, ResponseError

from bridge_common.base import errors
from bridge_common.base.errors import (
    AuthError,
    BridgeError,
    EntryError,
    FencedError,
    FrameError,
    GoneError,
    InputError,
    OutsideError,
    PayloadTooLargeError,
    error_text,
)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (NoPermissionError("no permissions", status_code="NOPERM"), "NOPERM no permissions"),
        (ResponseError("WRONGTYPE of the key"), "WRONGTYPE of the key"),
        (HttpResponseError("denied"), "denied"),
        (TimeoutError(), "TimeoutError"),
    ],
)
def test_an_error_has_a_text_with_the_code_of_redis(error: Exception, text: str) -> None:
    assert error_text(error) == text


ALL: list[type[BridgeError]] = [
    AuthError,
    BridgeError,
    EntryError,
    FencedError,
    FrameError,
    GoneError,
    InputError,
    OutsideError,
    PayloadTooLargeError,
]


@pytest.mark.parametrize("cls", [EntryError, FrameError, PayloadTooLargeError])
def test_bad_input_is_one_branch(cls: type[BridgeError]) -> None:
    assert issubclass(cls, InputError)


def test_a_fence_means_that_the_stream_is_gone_for_us() -> None:
    assert issubclass(FencedError, GoneError)


def test_every_error_has_a_code_of_its_own() -> None:
    assert len({cls.code for cls in ALL}) == len(ALL)


def test_the_tree_in_the_docstring_names_every_error() -> None:
    assert errors.__doc__ is not None
    for cls in ALL:
        assert cls.__name__ in errors.__doc__


def test_an_error_carries_its_message_and_details() -> None:
    error = FrameError("an odd number of bytes", count=3)
    assert str(error) == error.message == "an odd number of bytes"
    assert error.details == {"count": 3}


@pytest.mark.parametrize("retry", [True, False])
def test_an_outside_error_says_whether_to_retry(retry: bool) -> None:
    error = OutsideError("Redis did not answer", retry=retry, attempt=2)
    assert error.retry is retry
    assert error.details == {"attempt": 2}
