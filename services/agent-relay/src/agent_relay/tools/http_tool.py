"""Runs a function tool as an HTTP request. The response is the result for the model."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import logging
import re
import time
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

import aiohttp
from jsonschema import Draft202012Validator
from yarl import URL

from agent_relay.core.protocol.tool_profile import HttpTool, header_value
from agent_relay.tools.arguments import check_arguments, decode_arguments
from agent_relay.tools.runner import ToolCall
from bridge_common.base.errors import InputError, OutsideError
from bridge_common.base.log import fields
from bridge_common.base.retry import Backoff, retry

log = logging.getLogger(__name__)

_HEADER_KEY: Final = re.compile(r"[!-~]{1,256}")
_BACKOFF: Final = Backoff(first_s=0.2, most_s=2.0)
_MAX_BYTES: Final = 256 * 1024
_WITH_BODY: Final = frozenset({"POST", "PUT", "PATCH"})
REDIRECTED: Final = "The function failed: its server sent a redirect, which is not followed"
UNREACHABLE: Final = "The function is not available now."


class HttpToolRunner:
    """Runs one HTTP tool. `secrets`: values of the environment variables that the tool needs."""

    def __init__(self, tool: HttpTool, http: aiohttp.ClientSession, secrets: Mapping[str, str]) -> None:
        self.tool = tool
        self._http = http
        self._validator = Draft202012Validator(tool.parameters)
        self._headers = {name: header_value(content, secrets) for name, content in tool.headers.items()}
        self._signing_key = secrets[tool.signing_secret].encode() if tool.signing_secret else b""

    @property
    def limit_s(self) -> float:
        """Time limit for all attempts together, in seconds."""
        return (self.tool.retries + 1) * (self.tool.timeout_s + _BACKOFF.most_s)

    async def run(self, call: ToolCall) -> str:
        """Send the request and return the response as text of at most `max_result_chars`.

        Raises `InputError` if the arguments do not match the schema, and `OutsideError` if the request failed. Both
        messages are for the model.
        """
        arguments = self._read(call.arguments)
        if call.typed is not None:
            arguments[call.typed.argument] = call.typed.digits
        tool, attempts = self.tool, 0

        async def attempt() -> str:
            nonlocal attempts
            attempts += 1
            try:
                return await self._request(call, arguments)
            except OutsideError as error:
                raise OutsideError(
                    error.message, retry=error.retry and attempts <= tool.retries, retry_after_s=error.retry_after_s
                ) from error

        def failed(error: OutsideError, retry_in_s: float) -> None:
            log.info(
                "tool request failed; retrying", extra=fields(call_id=call.call_id, tool=tool.name, why=error.message)
            )

        return await retry(attempt, _BACKOFF, OutsideError, on_failure=failed)

    def _read(self, text: str) -> dict[str, Any]:
        arguments: dict[str, Any] = decode_arguments(text)
        check_arguments(arguments, self._validator)
        return arguments

    async def _request(self, call: ToolCall, arguments: Mapping[str, Any]) -> str:
        tool, key = self.tool, _header_key(call.key)
        url = self._url(arguments)
        rest = {name: value for name, value in arguments.items() if name not in tool.placeholders}
        body = json.dumps(rest, separators=(",", ":")).encode() if tool.method in _WITH_BODY else b""
        query = None if tool.method in _WITH_BODY else {name: _plain(value) for name, value in rest.items()}
        headers = {"Accept": "application/json", "Idempotency-Key": key, "X-Call-Id": call.call_id}
        headers |= {"Content-Type": "application/json"} if body else {}
        headers |= self._signature(key, body) | self._headers
        try:
            async with (
                asyncio.timeout(tool.timeout_s),
                self._http.request(
                    tool.method, url, params=query, data=body or None, headers=headers, allow_redirects=False
                ) as reply,
            ):
                # Before it is cut: the part of a number that is left would not be recognized.
                text = call.redacted(await _text(reply))
                return self._result(reply.status, reply.headers.get("Retry-After", ""), text)
        except TimeoutError as error:
            raise OutsideError("The function did not answer in time.", retry=True) from error
        except (aiohttp.ClientError, OSError) as error:
            log.warning("tool unreachable", extra=fields(call_id=call.call_id, tool=tool.name, error=str(error)))
            raise OutsideError(UNREACHABLE, retry=True) from error

    def _url(self, arguments: Mapping[str, Any]) -> URL:
        url = self.tool.url
        for name in self.tool.placeholders:
            value = _plain(arguments.get(name, ""))
            if value in ("", ".", ".."):
                raise InputError(f"The arguments are not valid: {name} must not be {value!r}")
            url = url.replace(f"{{{name}}}", quote(value, safe=""))
        return URL(url, encoded=True)

    def _result(self, status: int, retry_after: str, text: str) -> str:
        if 200 <= status < 300:
            return text[: self.tool.max_result_chars] or "{}"
        log.info("tool returned an error status", extra=fields(tool=self.tool.name, status=status))
        if status == 429 or status >= 500:
            delay_s = float(retry_after) if retry_after.isdigit() and len(retry_after) < 4 else 0.0
            raise OutsideError(UNREACHABLE, retry=True, retry_after_s=delay_s)
        if 300 <= status < 400:
            raise OutsideError(f"{REDIRECTED} (status {status}).", retry=False)
        # The body of an error response is for the model, for example "no such order".
        return json.dumps({"error": status, "detail": text[: self.tool.max_result_chars]})

    def _signature(self, key: str, body: bytes) -> dict[str, str]:
        """Return the signature headers of Standard Webhooks (https://www.standardwebhooks.com)."""
        if not self._signing_key:
            return {}
        at = str(int(time.time()))
        digest = hmac.new(self._signing_key, f"{key}.{at}.".encode() + body, hashlib.sha256).digest()
        return {
            "webhook-id": key,
            "webhook-timestamp": at,
            "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
        }


def _header_key(key: str) -> str:
    """Return the key as the value of a header: its hash if it contains other characters, or is long, because a part of
    it is from the service.
    """
    if _HEADER_KEY.fullmatch(key):
        return key
    return hashlib.sha256(key.encode(errors="surrogatepass")).hexdigest()


async def _text(reply: aiohttp.ClientResponse) -> str:
    body = bytearray()
    async for part in reply.content.iter_any():
        body += part
        if len(body) > _MAX_BYTES:
            break
    return bytes(body[:_MAX_BYTES]).decode(errors="replace")


def _plain(value: object) -> str:
    """Return the text of a value for a URL."""
    return value if isinstance(value, str) else json.dumps(value)
