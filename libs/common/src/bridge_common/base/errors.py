"""Exceptions of the services.

BridgeError
├── InputError          the input is invalid; do not retry; becomes 400 or a dropped frame
│   ├── EntryError      a Redis entry that could not be decoded
│   ├── FrameError      a media frame that ACS would not send
│   └── PayloadTooLargeError a body over the limit; becomes 413
├── AuthError           wrong or missing credentials; becomes 401 or close 1008
├── GoneError           the call, stream or lease does not exist any more; stop working on it
│   └── FencedError     a newer owner writes the stream; stop writing at once
└── OutsideError        Redis, ACS or Voice Live failed; `retry`: whether a retry can succeed
"""

from __future__ import annotations


def error_text(error: BaseException) -> str:
    """Return an exception's text for logs and messages, or the name of its class if it has none.

    redis-py strips the first word of Redis's error replies (`NOPERM`, `MOVED`, `OOM`); this function restores it.
    """
    text = str(error) or type(error).__name__
    code = getattr(error, "status_code", None)
    return f"{code} {text}" if isinstance(code, str) else text


class BridgeError(Exception):
    """Base class of these exceptions. `code` is a stable identifier for logs and error bodies; the message states the
    fault and the remedy.
    """

    code = "internal"

    def __init__(self, message: str, **details: object) -> None:
        super().__init__(message)
        self.message = message
        self.details = details


class InputError(BridgeError):
    code = "bad_request"


class EntryError(InputError):
    code = "bad_entry"


class FrameError(InputError):
    code = "bad_frame"


class PayloadTooLargeError(InputError):
    code = "payload_too_large"


class AuthError(BridgeError):
    code = "unauthorized"


class GoneError(BridgeError):
    code = "gone"


class FencedError(GoneError):
    code = "fenced"


class OutsideError(BridgeError):
    code = "unavailable"

    def __init__(self, message: str, *, retry: bool, retry_after_s: float = 0.0, **details: object) -> None:
        """Create the error. `retry_after_s`: minimum delay before a retry, as the server stated it; 0 if it did not."""
        super().__init__(message, **details)
        self.retry = retry
        self.retry_after_s = retry_after_s
