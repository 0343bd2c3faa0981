"""Request and response of a REST operation, and the decoding of request bodies."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from lab.acs.acs_errors import AcsNotFoundError, InvalidArgumentError, NotSimulatedError, TooEarlyError, invalid_field
from lab.acs.calls import CallState, MediaOptions
from lab.acs.exchange import Exchange
from lab.acs.leg import Leg
from lab.acs.party_identifiers import Identifier, Json, decode_identifier
from lab.unsupported import PretendedError

MAX_CONTEXT = 5000
_RATES_HZ = {"pcm16kmono": 16_000, "pcm24kmono": 24_000}


@dataclass(frozen=True, slots=True)
class AnswerOperation:
    status: int
    body: Json | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """An authenticated, well-formed request. `path`: the path parameters."""

    exchange: Exchange
    path: Mapping[str, str]
    body: Mapping[str, object]
    api_version: str

    def leg(self) -> Leg:
        """Return the leg of the call in the path, in any state after the call was answered. Raises
        `AcsNotFoundError`.
        """
        call = self.exchange.shared.calls.by_connection(self.path["connection_id"])
        leg = self.exchange.leg(call) if call is not None else None
        if leg is None or not leg.call.answered or leg.call.ended.is_set() or leg.call.app_left:
            raise AcsNotFoundError("Call not found.")
        return leg

    def connected_leg(self) -> Leg:
        """Return the leg of an established call. Raises `TooEarlyError` if the call is not established,
        `AcsNotFoundError` if it is unknown.
        """
        leg = self.leg()
        if leg.call.state is not CallState.CONNECTED or time.monotonic() < leg.call.established_at:
            raise TooEarlyError("Action is invalid when the call is not established.")
        return leg

    def text(self, field: str) -> str:
        value = self.body.get(field)
        if not isinstance(value, str) or not value:
            raise invalid_field(field)
        return value

    def optional_text(self, field: str) -> str | None:
        return None if self.body.get(field) is None else self.text(field)

    def pretend(self, where: str) -> None:
        """Record that the request relies on a feature without effect in the simulator (`PRETENDED`). Raises
        `NotSimulatedError` in strict mode.
        """
        try:
            self.exchange.shared.unsupported.used(where)
        except PretendedError as error:
            raise NotSimulatedError(
                f"Rejected because LAB_STRICT is set and this is not simulated: {error}."
            ) from error

    def identifier(self, field: str) -> Identifier:
        return decode_identifier(self.body.get(field), field)

    @property
    def context(self) -> str | None:
        context = self.optional_text("operationContext")
        if context is not None and len(context) > MAX_CONTEXT:
            raise InvalidArgumentError(
                f"The field OperationContext has {len(context)} characters; at most {MAX_CONTEXT} are allowed."
            )
        return context

    @property
    def operation_callback_url(self) -> str | None:
        return None if self.body.get("operationCallbackUri") is None else self.url("operationCallbackUri")

    def url(self, field: str, schemes: tuple[str, ...] = ("https", "http")) -> str:
        return decode_url(self.text(field), field, schemes)

    def accepted(self) -> AnswerOperation:
        """Return the response of most operations: 202 with the operation context, or `{}` if there is none."""
        return AnswerOperation(202, self.context_body())

    def context_body(self) -> Json:
        context = self.context
        return {} if context is None else {"operationContext": context}


def decode_url(value: object, field: str, schemes: tuple[str, ...]) -> str:
    try:
        parts = urlsplit(value) if isinstance(value, str) else None
    except ValueError:
        parts = None
    if parts is None or parts.scheme.lower() not in schemes or not parts.hostname:
        raise invalid_field(field)
    return str(value)


def decode_media_options(body: Mapping[str, object]) -> MediaOptions | None:
    """Decode `mediaStreamingOptions`. Enum values are accepted in upper or lower case, as by ACS."""
    options = body.get("mediaStreamingOptions")
    if options is None:
        return None
    if not isinstance(options, Mapping):
        raise invalid_field("mediaStreamingOptions")
    choices = {
        "transportType": ("websocket", None),
        "contentType": ("audio", None),
        "audioChannelType": ("mixed", "unmixed"),
    }
    for field, allowed in choices.items():
        if str(options.get(field)).lower() not in allowed:
            raise invalid_field(f"mediaStreamingOptions.{field}")
    rate_hz = _RATES_HZ.get(str(options.get("audioFormat") or "pcm16KMono").lower())
    if rate_hz is None:
        raise invalid_field("mediaStreamingOptions.audioFormat")
    return MediaOptions(
        transport_url=decode_url(options.get("transportUrl"), "mediaStreamingOptions.transportUrl", ("wss", "ws")),
        rate_hz=rate_hz,
        start=options.get("startMediaStreaming") is True,
        bidirectional=options.get("enableBidirectional") is True,
        unmixed=str(options.get("audioChannelType")).lower() == "unmixed",
        dtmf=options.get("enableDtmfTones") is True,
    )
