"""Settings of the simulated ACS."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator

from lab.environment import NOT_FROM_ENVIRONMENT, AnyCase, Count, Port, Seconds, SimulatorSettings

LAB_ACCESS_KEY = base64.b64encode(b"the access key of the simulated ACS resource, not a secret!!!!!!").decode()
"""The access key of the simulated resource. It is public, not a secret."""

LAB_RESOURCE_ID = "6c616261-6373-4000-8000-7265736f7572"
"""The immutable resource id of the simulated resource: the audience of the tokens on its callbacks and media sockets.
"""


def _base64(key: str) -> str:
    try:
        base64.b64decode(key, validate=True)
    except binascii.Error:
        raise ValueError("is not valid base64; set it to the `accesskey` part of ACS_CONNECTION_STRING") from None
    return key


def _level(value: str) -> float | None:
    if value.lower() == "off":
        return None
    try:
        level = float(value)
    except ValueError:
        level = 0.0
    if not -96 <= level <= -20:
        raise ValueError(f"must be `off` or a number from -96 to -20, got {value!r}")
    return level


EventSchema = Annotated[Literal["eventgrid", "cloudevents"], AnyCase]
RedialPolicy = Annotated[Literal["same_url", "once", "off"], AnyCase]
LossCallback = Annotated[Literal["failed", "stopped", "none"], AnyCase]
LossContext = Annotated[Literal["answer", "start", "none"], AnyCase]


@dataclass(frozen=True)
class AcsSettings(SimulatorSettings):
    """Settings of the simulated ACS. Durations are in seconds."""

    host: str = "127.0.0.1"
    port: Port = 8090
    scheme: str = field(default="http", metadata=NOT_FROM_ENVIRONMENT)

    webhook_url: str = "http://127.0.0.1:8080/api/incomingCall"
    webhook_wait_s: Seconds = 15.0
    """How long the validation handshake is retried while the webhook does not answer."""
    event_schema: EventSchema = "eventgrid"
    event_grid_secret: str = ""
    """Secret that is added to the URL of the webhook as `?code=`."""
    event_grid_bearer: str = ""
    """Audience of the Entra token in Event Grid deliveries; empty: no token."""
    event_grid_retry_s: Seconds = 10.0
    """Pause before the second and last attempt of a failed delivery, as the ACS docs recommend."""

    acs_access_key: Annotated[str, AfterValidator(_base64)] = LAB_ACCESS_KEY
    acs_resource_id: str = LAB_RESOURCE_ID
    acs_issuer: str = ""
    """Issuer of the tokens; empty: the address of the simulator."""
    acs_allow_bearer: bool = True
    """Accept `Authorization: Bearer` with any token, for clients with an Entra credential."""
    callback_token_s: Seconds = 300.0
    socket_token_s: Seconds = 86_400.0

    ring_timeout_s: Seconds = 30.0
    media_open_delay_s: Seconds = 0.3
    """Delay between the answer and the media socket. ACS takes about 1 s (recorded)."""
    media_connect_timeout_s: Seconds = 1.0
    media_started_delay_s: Seconds = 0.2
    media_redial: RedialPolicy = "same_url"
    """Reconnects after the loss of a media socket: up to `media_redial_attempts` times, once, or never."""
    media_redial_attempts: Count = 3
    media_redial_spacing_s: Seconds = 0.5
    media_loss_callback: LossCallback = "failed"
    """Callback for a lost socket that is not reconnected: MediaStreamingFailed, MediaStreamingStopped, or none. With
    none, streaming remains active: startMediaStreaming fails until it is stopped.
    """
    media_loss_context: LossContext = "answer"
    """operationContext of that callback: of the answer, of the last startMediaStreaming, or none."""
    silent_flag: bool = False
    """Send frames of digital silence with `"silent": true`; disables the noise floor."""
    noise_dbfs: Annotated[float | None, BeforeValidator(_level)] = -65.0
    """RMS level of the noise in the audio of callers, relative to 16-bit full scale, or `off`. Calls with marks have no
    noise: their frames are compared by sample.
    """
    sound_threshold: Count = 200
    """RMS of 16-bit samples above which 20 ms of agent audio count as sound. 200 is about -44 dBFS."""

    lab_strict: bool = False
    """Reject requests with options that have no effect in the simulator; `GET /lab/unsupported` lists them."""

    callback_timeout_s: Seconds = 5.0
    callback_attempts: Count = 3
    callback_retry_s: Seconds = 0.5

    stack_folder: str = ""
    """Folder of the stack, set by `lab`; `/healthz` reports it, so that `lab` finds the stack."""

    @property
    def base_url(self) -> str:
        host = "127.0.0.1" if self.host in {"0.0.0.0", "", "::"} else self.host
        return f"{self.scheme}://{host}:{self.port}"

    @property
    def issuer(self) -> str:
        return (self.acs_issuer or self.base_url).rstrip("/")
