"""What the simulated ACS reads from its environment, once, into a frozen object."""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, cast

from lab.environment import NOT_FROM_ENVIRONMENT

LAB_ACCESS_KEY = base64.b64encode(b"the access key of the simulated ACS resource, not a secret!!!!!!").decode()
"""The documented key of the lab's resource: any client on this machine may know it."""

LAB_RESOURCE_ID = "6c616261-6373-4000-8000-7265736f7572"
"""The lab's immutable resource id: the audience of every token that ACS puts on callbacks and media sockets."""

EventSchema = Literal["eventgrid", "cloudevents"]
RedialPolicy = Literal["same_url", "once", "off"]
LossCallback = Literal["failed", "stopped", "none"]
LossContext = Literal["answer", "start", "none"]


@dataclass(frozen=True)
class AcsSettings:
    """All durations in seconds. `from_env` takes each field from the variable of the same name in capitals, except
    where the field says otherwise.
    """

    host: str = "127.0.0.1"
    port: int = 8090
    log_level: str = "INFO"
    scheme: str = field(default="http", metadata=NOT_FROM_ENVIRONMENT)

    webhook_url: str = "http://127.0.0.1:8080/api/incomingCall"
    webhook_wait_s: float = 15.0
    """How long the validation handshake is tried again while the webhook does not answer."""
    event_schema: EventSchema = "eventgrid"
    event_grid_secret: str = ""
    """Added to the webhook's URL as `?code=`."""
    event_grid_bearer: str = ""
    """The audience of the Entra-like token on Event Grid deliveries; empty: no token."""
    event_grid_retry_s: float = 10.0
    """The pause before the second attempt of a failed delivery; there is no third, as the ACS docs advise."""

    acs_access_key: str = LAB_ACCESS_KEY
    acs_resource_id: str = LAB_RESOURCE_ID
    acs_issuer: str = ""
    """Issuer of the tokens; empty: this simulator's own address."""
    acs_allow_bearer: bool = True
    """Accept `Authorization: Bearer` with any token, as a client with an Entra credential sends it."""
    callback_token_s: float = 300.0
    socket_token_s: float = 86_400.0

    ring_timeout_s: float = 30.0
    media_open_delay_s: float = 0.3
    """From the answer to the media socket; the real service was seen to take about 1 s."""
    media_connect_timeout_s: float = 1.0
    media_started_delay_s: float = 0.2
    media_redial: RedialPolicy = "same_url"
    """After the loss of a media socket: dial until it opens (at most `media_redial_attempts` times), once, or never."""
    media_redial_attempts: int = 3
    media_redial_spacing_s: float = 0.5
    media_loss_callback: LossCallback = "failed"
    """The callback for a lost socket that is not dialled again, or not successfully: MediaStreamingFailed,
    MediaStreamingStopped, or none. With none, streaming counts as running: a start is refused until it is stopped.
    """
    media_loss_context: LossContext = "answer"
    """The operationContext of that callback: that of the answer, of the last startMediaStreaming, or none."""
    silent_flag: bool = False
    """Mark frames of digital silence `"silent": true`; the line then has no noise floor."""
    noise_dbfs: float | None = -65.0
    """RMS level of the noise under all that a caller sends, relative to 16-bit full scale; `off` for none. Calls with
    marks have none: their frames are compared sample by sample.
    """
    sound_threshold: int = 200
    """RMS of 16-bit samples above which the caller counts 20 ms of the agent as sound (about -44 dBFS)."""

    lab_strict: bool = False
    """Refuse requests that rely on something that this simulator only pretends; `GET /lab/unsupported` lists it."""

    callback_timeout_s: float = 5.0
    callback_attempts: int = 3
    callback_retry_s: float = 0.5

    stack_folder: str = ""
    """Of the stack that this simulator belongs to; `/healthz` reports it, so that `lab` finds the stack."""

    @property
    def base_url(self) -> str:
        host = "127.0.0.1" if self.host in {"0.0.0.0", "", "::"} else self.host
        return f"{self.scheme}://{host}:{self.port}"

    @property
    def issuer(self) -> str:
        return (self.acs_issuer or self.base_url).rstrip("/")

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> AcsSettings:
        """Raises `ValueError` that names every wrong variable at once."""
        env = _Environment(os.environ if environ is None else environ)
        settings = cls(
            host=env.text("HOST", cls.host),
            port=int(env.number("PORT", cls.port)),
            log_level=env.choice("LOG_LEVEL", ("info", "debug", "warning", "error")).upper(),
            webhook_url=env.text("WEBHOOK_URL", cls.webhook_url),
            webhook_wait_s=env.number("WEBHOOK_WAIT_S", cls.webhook_wait_s),
            event_schema=cast(EventSchema, env.choice("EVENT_SCHEMA", ("eventgrid", "cloudevents"))),
            event_grid_secret=env.text("EVENT_GRID_SECRET", cls.event_grid_secret),
            event_grid_bearer=env.text("EVENT_GRID_BEARER", cls.event_grid_bearer),
            event_grid_retry_s=env.number("EVENT_GRID_RETRY_S", cls.event_grid_retry_s),
            acs_access_key=env.access_key("ACS_ACCESS_KEY", cls.acs_access_key),
            acs_resource_id=env.text("ACS_RESOURCE_ID", cls.acs_resource_id),
            acs_issuer=env.text("ACS_ISSUER", cls.acs_issuer),
            acs_allow_bearer=env.choice("ACS_ALLOW_BEARER", ("true", "false")) == "true",
            callback_token_s=env.number("CALLBACK_TOKEN_S", cls.callback_token_s),
            socket_token_s=env.number("SOCKET_TOKEN_S", cls.socket_token_s),
            ring_timeout_s=env.number("RING_TIMEOUT_S", cls.ring_timeout_s),
            media_open_delay_s=env.number("MEDIA_OPEN_DELAY_S", cls.media_open_delay_s),
            media_connect_timeout_s=env.number("MEDIA_CONNECT_TIMEOUT_S", cls.media_connect_timeout_s),
            media_started_delay_s=env.number("MEDIA_STARTED_DELAY_S", cls.media_started_delay_s),
            media_redial=cast(RedialPolicy, env.choice("MEDIA_REDIAL", ("same_url", "once", "off"))),
            media_redial_attempts=int(env.number("MEDIA_REDIAL_ATTEMPTS", cls.media_redial_attempts)),
            media_redial_spacing_s=env.number("MEDIA_REDIAL_SPACING_S", cls.media_redial_spacing_s),
            media_loss_callback=cast(LossCallback, env.choice("MEDIA_LOSS_CALLBACK", ("failed", "stopped", "none"))),
            media_loss_context=cast(LossContext, env.choice("MEDIA_LOSS_CONTEXT", ("answer", "start", "none"))),
            silent_flag=env.choice("SILENT_FLAG", ("false", "true")) == "true",
            noise_dbfs=env.level("NOISE_DBFS", cls.noise_dbfs),
            sound_threshold=int(env.number("SOUND_THRESHOLD", cls.sound_threshold)),
            lab_strict=env.flag("LAB_STRICT"),
            callback_timeout_s=env.number("CALLBACK_TIMEOUT_S", cls.callback_timeout_s),
            callback_attempts=int(env.number("CALLBACK_ATTEMPTS", cls.callback_attempts)),
            callback_retry_s=env.number("CALLBACK_RETRY_S", cls.callback_retry_s),
            stack_folder=env.text("STACK_FOLDER", cls.stack_folder),
        )
        if env.wrong:
            raise ValueError("; ".join(env.wrong))
        return settings


class _Environment:
    """Reads variables by type; what is wrong is gathered in `wrong`, so that one start names it all."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self.wrong: list[str] = []

    def text(self, name: str, default: str) -> str:
        return self._environ.get(name) or default

    def number(self, name: str, default: float) -> float:
        raw = self._environ.get(name)
        if not raw:
            return default
        try:
            value = float(raw)
        except ValueError:
            value = -1.0
        if not 0 <= value < 1e9:
            self.wrong.append(f"{name} must be a number from 0, not {raw!r}")
            return default
        return value

    def level(self, name: str, default: float | None) -> float | None:
        """A level in dBFS, or `off`."""
        raw = self._environ.get(name)
        if not raw:
            return default
        if raw.lower() == "off":
            return None
        try:
            value = float(raw)
        except ValueError:
            value = 0.0
        if not -96 <= value <= -20:
            self.wrong.append(f"{name} must be `off` or a number from -96 to -20, not {raw!r}")
            return default
        return value

    def choice(self, name: str, choices: tuple[str, ...]) -> str:
        """One of `choices`, of which the first is the default."""
        raw = (self._environ.get(name) or choices[0]).lower()
        if raw not in choices:
            self.wrong.append(f"{name} must be one of {', '.join(choices)}, not {raw!r}")
            return choices[0]
        return raw

    def flag(self, name: str) -> bool:
        raw = (self._environ.get(name) or "0").lower()
        if raw not in {"0", "1", "false", "true"}:
            self.wrong.append(f"{name} must be 0 or 1, not {raw!r}")
        return raw in {"1", "true"}

    def access_key(self, name: str, default: str) -> str:
        raw = self._environ.get(name) or default
        try:
            base64.b64decode(raw, validate=True)
        except (binascii.Error, ValueError):
            self.wrong.append(f"{name} must be base64")
        return raw
