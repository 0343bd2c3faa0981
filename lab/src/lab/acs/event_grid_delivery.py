"""Event Grid: the validation handshake of both schemas and the delivery of IncomingCall to the webhook.

Formats and headers follow the Event Grid docs ("Webhook event delivery", "Endpoint validation", "Event schema for
Communication Services"). 200 to 204 is success; 400, 401 and 413 are not retried.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from urllib.parse import quote

import aiohttp
from yarl import URL

from lab.acs.calls import SimulatedCall
from lab.acs.party_identifiers import Json
from lab.acs.shared_state import SharedState
from lab.simulator import log

ORIGIN = "eventgrid.azure.net"
SUBSCRIPTION = "LAB-INCOMING-CALLS"
TOPIC = (
    "/subscriptions/00000000-0000-0000-0000-000000000000/resourcegroups/lab"
    "/providers/microsoft.communication/communicationservices/lab"
)
_DELIVERED = frozenset({200, 201, 202, 203, 204})
_NOT_RETRIED = frozenset({400, 401, 413})
_TIMEOUT = aiohttp.ClientTimeout(total=30)
_POLL_S = 0.25


class EventGrid:
    def __init__(self, shared: SharedState) -> None:
        self._shared = shared
        self._secret = shared.settings.event_grid_secret
        self._validated = False
        self._validating = asyncio.Lock()
        self._final: set[str] = set()

    async def subscribe(self, secret: str | None = None) -> str | None:
        """Perform the validation handshake and return the error or `None`. Retries while the webhook does not
        answer. `secret`: another value of `?code=`, as after an update of the event subscription.
        """
        self._secret = self._secret if secret is None else secret
        async with self._validating:
            deadline = time.monotonic() + self._shared.settings.webhook_wait_s
            while True:
                problem, worth_retrying = await self._validate()
                if problem is None:
                    self._validated = True
                    log.info("webhook validated")
                    return None
                if not worth_retrying or time.monotonic() > deadline:
                    self._validated = False
                    log.info("webhook validation failed", extra={"reason": problem})
                    return problem
                await asyncio.sleep(_POLL_S)

    async def ensure_subscribed(self) -> str | None:
        return None if self._validated else await self.subscribe()

    async def deliver(self, call: SimulatedCall) -> str | None:
        """Deliver the IncomingCall event with the active faults. Return the error of the last request or `None`."""
        fault = self._shared.faults.event_grid()
        if fault is not None:
            await asyncio.sleep(fault.delay_s)
        problem: str | None = None
        for _ in range(1 + (fault.duplicates if fault is not None else 0)):
            problem = await self._deliver_once(call, fault.neighbours if fault is not None else ())
        return problem

    def retries(self, call: SimulatedCall) -> bool:
        return call.id not in self._final

    async def _deliver_once(self, call: SimulatedCall, neighbours: Sequence[object]) -> str | None:
        count = call.counters["deliveries"]
        call.counters["deliveries"] += 1
        event = self._event(call)
        call.note("incoming_call_sent", delivery=count)
        status, _, text = await self._request("POST", _among(event, neighbours), self._headers("Notification", count))
        if status in _DELIVERED:
            return None
        if status in _NOT_RETRIED:
            self._final.add(call.id)
        call.note("incoming_call_refused", status=status, reason=text[:200])
        return f"the webhook answered {status}: {text[:200]}" if status else f"the webhook did not answer: {text}"

    async def _validate(self) -> tuple[str | None, bool]:
        """Perform the handshake once. Return the error, if any, and whether a retry may succeed."""
        if self._shared.settings.event_schema == "cloudevents":
            return await self._validate_by_options()
        code = str(uuid.uuid4())
        body = self._eventgrid_event(
            "Microsoft.EventGrid.SubscriptionValidationEvent",
            "",
            {
                "validationCode": code,
                "validationUrl": f"https://{ORIGIN}:553/eventsubscriptions/lab/validate?id={code}",
            },
            str(uuid.uuid4()),
            "1",
        )
        status, response, text = await self._request("POST", [body], self._headers("SubscriptionValidation", 0))
        if status != 200:
            return self._status_problem(status, text)
        if not isinstance(response, dict) or response.get("validationResponse") != code:
            return "the webhook answered the validation with 200 but without the validation code", False
        return None, False

    async def _validate_by_options(self) -> tuple[str | None, bool]:
        status, headers, text = await self._request("OPTIONS", None, {"WebHook-Request-Origin": ORIGIN})
        if not 200 <= status < 300:
            return self._status_problem(status, text)
        assert isinstance(headers, Mapping)
        if headers.get("webhook-allowed-origin") not in {ORIGIN, "*"}:
            return f"the webhook does not allow the origin {ORIGIN} in WebHook-Allowed-Origin", False
        return None, False

    @staticmethod
    def _status_problem(status: int, text: str) -> tuple[str, bool]:
        if status == 0:
            return f"the webhook did not answer: {text}", True
        return f"the webhook answered the validation with {status}: {text[:200]}", status >= 500

    async def _request(
        self, method: str, body: Sequence[object] | None, headers: dict[str, str]
    ) -> tuple[int, object, str]:
        """Send a request. Return its status (0: no response), the JSON body (for OPTIONS: the headers, with lower-case
        names), and the body text or the error.
        """
        settings = self._shared.settings
        url = settings.webhook_url
        if self._secret:
            url += ("&" if "?" in url else "?") + "code=" + quote(self._secret, safe="")
        if settings.event_grid_bearer:
            token = self._shared.tokens.event_grid_token(settings.event_grid_bearer, datetime.now(UTC))
            headers["Authorization"] = f"Bearer {token}"
        try:
            async with self._shared.http.request(
                method, URL(url, encoded=True), json=body, headers=headers, timeout=_TIMEOUT
            ) as response:
                text = await response.text(errors="replace")
                if method == "OPTIONS":
                    return response.status, {name.lower(): value for name, value in response.headers.items()}, text
                try:
                    return response.status, await response.json(content_type=None), text
                except ValueError:
                    return response.status, None, text
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            return 0, None, f"{type(error).__name__}: {error}"

    def _headers(self, kind: str, count: int) -> dict[str, str]:
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "aeg-event-type": kind,
            "aeg-subscription-name": SUBSCRIPTION,
            "aeg-delivery-count": str(count),
            "aeg-metadata-version": "1",
            "aeg-data-version": "1.0",
            "aeg-output-event-id": str(uuid.uuid4()),
        }
        if self._shared.settings.event_schema == "cloudevents":
            headers |= {"Content-Type": "application/cloudevents-batch+json; charset=utf-8", "Origin": ORIGIN}
            headers["aeg-metadata-version"] = "1.0"
        return headers

    def _event(self, call: SimulatedCall) -> Json:
        data = incoming_call_data(call)
        subject = f"/caller/{call.caller.raw_id}/recipient/{call.app.raw_id}"
        if self._shared.settings.event_schema == "eventgrid":
            return self._eventgrid_event(
                "Microsoft.Communication.IncomingCall", subject, data, call.event_id, "1.0", call.created_at
            )
        return {
            "id": call.event_id,
            "source": TOPIC,
            "subject": subject,
            "type": "Microsoft.Communication.IncomingCall",
            "specversion": "1.0",
            "time": _time(call.created_at),
            "data": data,
        }

    @staticmethod
    def _eventgrid_event(
        kind: str, subject: str, data: Json, event_id: str, version: str, at: datetime | None = None
    ) -> Json:
        return {
            "id": event_id,
            "topic": TOPIC,
            "subject": subject,
            "data": data,
            "eventType": kind,
            "dataVersion": version,
            "metadataVersion": "1",
            "eventTime": _time(at or datetime.now(UTC)),
        }


def incoming_call_data(call: SimulatedCall) -> Json:
    return call.announcement.data(call.caller, call.callee) | {
        "serverCallId": call.server_call_id,
        "incomingCallContext": call.context,
        "correlationId": call.correlation_id,
    }


def _among(event: Json, neighbours: Sequence[object]) -> list[object]:
    half = len(neighbours) // 2
    return [*neighbours[:half], event, *neighbours[half:]]


def _time(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%S.%f}0Z"
