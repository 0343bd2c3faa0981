"""Error responses of ACS: an HTTP status and `{"error": {"code": "<sub code>", "message": …}}`, as recorded.

    AcsApiError
    ├─ UnauthorizedError     401/7509  the request is not signed with the key of the resource
    ├─ AcsNotFoundError      404/8522  unknown call, participant or path; also every request after the end of a call
    ├─ InvalidArgumentError  400/8523
    ├─ TooEarlyError         400/8501  the call is not established
    ├─ WrongStateError       400/8585  the action is not allowed in the current state of the call
    ├─ StaleContextError     400       IDX23010, the incoming-call context has expired
    ├─ AcsConflictError      409/8519
    ├─ NotConfiguredError    405/8522  the answer request did not set a required option
    └─ NotSimulatedError     405/8520  ACS supports the operation, the simulator does not

All are client errors, except `NotSimulatedError`. Retrying the same request never helps.
"""

from __future__ import annotations

from datetime import datetime

from starlette.responses import JSONResponse, Response


class AcsApiError(Exception):
    status = 400
    code = "8523"

    def __init__(self, message: str, *, status: int | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.status = self.status if status is None else status
        self.code = self.code if code is None else code

    def response(self, headers: dict[str, str] | None = None) -> Response:
        error = {"code": self.code, "message": self.message}
        return JSONResponse({"error": error}, self.status, headers, media_type="application/json; charset=utf-8")


class UnauthorizedError(AcsApiError):
    status, code = 401, "7509"


class AcsNotFoundError(AcsApiError):
    status, code = 404, "8522"


class InvalidArgumentError(AcsApiError):
    status, code = 400, "8523"


def invalid_field(field: str) -> InvalidArgumentError:
    return InvalidArgumentError(f"The field {field[:1].upper()}{field[1:]} is invalid.")


class TooEarlyError(AcsApiError):
    status, code = 400, "8501"


class WrongStateError(AcsApiError):
    status, code = 400, "8585"


class AcsConflictError(AcsApiError):
    status, code = 409, "8519"


class NotConfiguredError(AcsApiError):
    status, code = 405, "8522"


class NotSimulatedError(AcsApiError):
    status, code = 405, "8520"


class StaleContextError(AcsApiError):
    status, code = 400, "BadRequest"

    def __init__(self, now: datetime, valid_until: datetime) -> None:
        super().__init__(
            "IDX23010: Lifetime validation of the signed http request failed. "
            f"Current time: '{now:%m/%d/%Y %H:%M:%S}' UTC, "
            f"signed http request is valid until: '{valid_until:%m/%d/%Y %H:%M:%S}' UTC."
        )
