"""The Call Automation REST API: paths, status codes, authentication, faults, repeatable requests.

Paths and success codes follow the Call Automation REST reference, api-version 2026-03-12. Repeated requests with the
same `Repeatability-Request-ID` get the response of the first (OASIS repeatable requests).
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
import uuid
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from lab.acs import holding, mid_call, moving, participants, play_operation, ringing, transfers
from lab.acs.acs_errors import (
    AcsApiError,
    AcsNotFoundError,
    InvalidArgumentError,
    NotSimulatedError,
    UnauthorizedError,
)
from lab.acs.acs_faults import RestFault
from lab.acs.exchange import Exchange
from lab.acs.operation import AnswerOperation, Request
from lab.acs.signing import SignedRequest, refusal
from lab.acs.unsupported_by_acs import pretended
from lab.simulator import log
from lab.unsupported import PretendedError

MAX_BODY_BYTES = 1 << 20
MAX_REPLAYS = 10_000
_API_VERSION = re.compile(r"20\d\d-\d\d-\d\d(-preview)?")
_CALLS = "/calling/callConnections"
_CALL = _CALLS + "/{connection_id}"


async def _not_simulated(request: Request) -> AnswerOperation:
    raise NotSimulatedError("The simulator does not support this ACS operation.")


@dataclass(frozen=True, slots=True)
class Operation:
    name: str
    method: str
    path: str
    carry_out: Callable[[Request], Awaitable[AnswerOperation]]
    repeatable: bool = False


OPERATIONS = (
    Operation("answer", "POST", _CALLS + ":answer", ringing.answer, repeatable=True),
    Operation("create", "POST", _CALLS, ringing.create, repeatable=True),
    Operation("reject", "POST", _CALLS + ":reject", ringing.reject, repeatable=True),
    Operation("redirect", "POST", _CALLS + ":redirect", ringing.redirect, repeatable=True),
    Operation("connect", "POST", _CALLS + ":connect", _not_simulated),
    Operation("list_participants", "GET", _CALL + "/participants", participants.list_participants),
    Operation("get_participant", "GET", _CALL + "/participants/{raw_id}", participants.get_participant),
    Operation("add_participant", "POST", _CALL + "/participants:add", participants.add_participant, repeatable=True),
    Operation(
        "remove_participant", "POST", _CALL + "/participants:remove", participants.remove_participant, repeatable=True
    ),
    Operation(
        "cancel_add", "POST", _CALL + "/participants:cancelAddParticipant", participants.cancel_add, repeatable=True
    ),
    Operation("move_here", "POST", _CALL + "/participants:moveHere", moving.move_here, repeatable=True),
    Operation("mute", "POST", _CALL + "/participants:mute", participants.mute_participants, repeatable=True),
    Operation("terminate", "POST", _CALL + ":terminate", mid_call.hang_up, repeatable=True),
    Operation("transfer", "POST", _CALL + ":transferToParticipant", transfers.transfer, repeatable=True),
    Operation("start_media_streaming", "POST", _CALL + ":startMediaStreaming", mid_call.start_media_streaming),
    Operation("stop_media_streaming", "POST", _CALL + ":stopMediaStreaming", mid_call.stop_media_streaming),
    Operation("send_dtmf_tones", "POST", _CALL + ":sendDtmfTones", mid_call.send_dtmf_tones, repeatable=True),
    Operation("start_dtmf", "POST", _CALL + ":startContinuousDtmfRecognition", mid_call.start_continuous_dtmf),
    Operation("stop_dtmf", "POST", _CALL + ":stopContinuousDtmfRecognition", mid_call.stop_continuous_dtmf),
    Operation("play", "POST", _CALL + ":play", play_operation.play),
    Operation("cancel_media", "POST", _CALL + ":cancelAllMediaOperations", play_operation.cancel_all_media_operations),
    Operation("hold", "POST", _CALL + ":hold", holding.hold),
    Operation("unhold", "POST", _CALL + ":unhold", holding.unhold),
    Operation("recognize", "POST", _CALL + ":recognize", _not_simulated),
    Operation("start_transcription", "POST", _CALL + ":startTranscription", _not_simulated),
    Operation("start_recording", "POST", "/calling/recordings", _not_simulated),
    Operation("get_call", "GET", _CALL, mid_call.get_call),
    Operation("hang_up", "DELETE", _CALL, mid_call.leave),
)
OPERATION_NAMES = tuple(sorted(operation.name for operation in OPERATIONS))


class DroppedError(Exception):
    """Makes the server abort the connection without a response."""


class RestApi:
    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._replays: OrderedDict[str, asyncio.Future[AnswerOperation | AcsApiError]] = OrderedDict()

    async def handle(self, operation: Operation, http: HttpRequest) -> Response:
        try:
            body = await http.body()
            self._authenticate(http, body)
            fault = self._exchange.shared.faults.rest(operation.name)
            if fault is not None:
                await asyncio.sleep(fault.delay_s)
            if fault is not None and fault.when == "before" and (struck := _strike(fault)) is not None:
                return struck
            outcome = await self._repeatable(operation, http, body)
            if fault is not None and fault.when == "after" and (struck := _strike(fault)) is not None:
                return struck
        except DroppedError:
            return _cut(http)
        except AcsApiError as error:
            outcome = error
        headers = self._headers(operation, http, outcome)
        if isinstance(outcome, AcsApiError):
            log.info(
                "request rejected", extra={"operation": operation.name, "status": outcome.status, "code": outcome.code}
            )
            return outcome.response(headers)
        if outcome.body is None:
            return Response(status_code=outcome.status, headers=headers)
        return JSONResponse(outcome.body, outcome.status, headers, media_type="application/json; charset=utf-8")

    def _headers(
        self, operation: Operation, http: HttpRequest, outcome: AnswerOperation | AcsApiError
    ) -> dict[str, str]:
        """Return the response headers as recorded. Responses to answer and create have no `Repeatability-Result`."""
        body = outcome.body if isinstance(outcome, AnswerOperation) else None
        call = self._exchange.shared.calls.by_connection(http.path_params.get("connection_id", ""))
        known = (body or {}).get("correlationId") or (call.correlation_id if call is not None else None)
        headers = {
            "X-Microsoft-Skype-Chain-ID": str(known or uuid.uuid4()),
            "X-Azure-Ref": "0" + base64.b64encode(uuid.uuid4().bytes * 3).decode(),
            "X-Cache": "CONFIG_NOCACHE",
        }
        if client_id := http.headers.get("x-ms-client-request-id"):
            headers["x-ms-client-request-id"] = client_id
        if operation.repeatable and call is not None and isinstance(outcome, AnswerOperation):
            headers["Repeatability-Result"] = "accepted"
        return headers

    def _authenticate(self, http: HttpRequest, body: bytes) -> None:
        settings = self._exchange.shared.settings
        authorization = http.headers.get("authorization", "")
        if authorization.startswith("Bearer ") and authorization[7:].strip() and settings.acs_allow_bearer:
            try:
                self._exchange.shared.unsupported.used("Authorization: Bearer")
            except PretendedError as error:
                raise UnauthorizedError(
                    f"Rejected because LAB_STRICT is set and this is not verified: {error}."
                ) from error
            return
        raw_path: bytes = http.scope.get("raw_path") or http.url.path.encode()
        query: bytes = http.scope["query_string"]
        path_and_query = (raw_path + (b"?" + query if query else b"")).decode("latin-1")
        signed = SignedRequest(http.method, path_and_query, http.headers, body)
        problem = refusal(signed, settings.acs_access_key, datetime.now(UTC))
        if problem is not None:
            raise UnauthorizedError(f"Denied by the resource provider. {problem}")

    async def _repeatable(self, operation: Operation, http: HttpRequest, body: bytes) -> AnswerOperation | AcsApiError:
        """Run the operation once for each Repeatability-Request-ID. A repeated request gets the same response, even if
        it is an error.
        """
        request_id = http.headers.get("repeatability-request-id")
        if not operation.repeatable or request_id is None:
            return await self._carry_out(operation, http, body)
        known = self._replays.get(request_id)
        if known is not None:
            log.info("request repeated", extra={"operation": operation.name})
            return await asyncio.shield(known)
        first: asyncio.Future[AnswerOperation | AcsApiError] = asyncio.get_running_loop().create_future()
        self._replays[request_id] = first
        while len(self._replays) > MAX_REPLAYS:
            self._replays.popitem(last=False)
        try:
            outcome = await self._carry_out(operation, http, body)
        except BaseException:
            del self._replays[request_id]
            first.cancel()
            raise
        first.set_result(outcome)
        return outcome

    async def _carry_out(self, operation: Operation, http: HttpRequest, body: bytes) -> AnswerOperation | AcsApiError:
        try:
            version = http.query_params.get("api-version", "")
            if not _API_VERSION.fullmatch(version):
                raise AcsApiError("The api-version query parameter is missing or invalid.", code="MissingApiVersion")
            request = Request(self._exchange, http.path_params, _decode_body(body), version)
            for where in pretended(operation.name, request.body):
                request.pretend(where)
            return await operation.carry_out(request)
        except AcsApiError as error:
            return error


def routes(exchange: Callable[[], Exchange]) -> list[Route]:
    """Return one route for each operation, and a last one that answers unknown paths with the error body of ACS."""
    apis: dict[int, RestApi] = {}

    def api() -> RestApi:
        current = exchange()
        return apis.setdefault(id(current), RestApi(current))

    def endpoint(operation: Operation) -> Callable[[HttpRequest], Awaitable[Response]]:
        async def carry(http: HttpRequest) -> Response:
            return await api().handle(operation, http)

        return carry

    async def unknown(http: HttpRequest) -> Response:
        return AcsNotFoundError(f"There is no operation {http.method} {http.url.path}.").response()

    found = [Route(one.path, endpoint(one), methods=[one.method]) for one in OPERATIONS]
    return [*found, Route("/calling/{rest:path}", unknown, methods=["GET", "POST", "PUT", "PATCH", "DELETE"])]


def _decode_body(body: bytes) -> dict[str, object]:
    if len(body) > MAX_BODY_BYTES:
        raise AcsApiError(
            f"The request body has {len(body)} bytes; at most {MAX_BODY_BYTES} are allowed.",
            status=413,
            code="RequestEntityTooLarge",
        )
    if not body:
        return {}
    try:
        decoded = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise InvalidArgumentError(f"The request body is not valid JSON: {error}") from error
    if not isinstance(decoded, dict):
        raise InvalidArgumentError("The request body is not a JSON object.")
    return decoded


def _strike(fault: RestFault) -> Response | None:
    if fault.drop:
        raise DroppedError
    if fault.status is None:
        return None
    headers = {} if fault.retry_after is None else {"Retry-After": f"{fault.retry_after:g}"}
    if fault.status < 300:
        return JSONResponse({}, fault.status, headers) if fault.status != 204 else Response(status_code=204)
    return AcsApiError(fault.message, status=fault.status, code=fault.code).response(headers)


def _cut(http: HttpRequest) -> Response:
    """Abort the connection like a broken network. ASGI has no such call, so this uses the transport of the server."""
    transport = getattr(getattr(http.receive, "__self__", None), "transport", None)
    if transport is not None and hasattr(transport, "abort"):
        transport.abort()
    return Response(status_code=500)
