"""`python -m agent_relay.probe`: asks the service what its documentation leaves open, with the settings of the relay.

Opens one session, lets the agent say a few sentences, and prints a table of the answers (docs/agent-tools.md).
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import sys
import uuid
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from agent_relay.core.protocol.agent_profile import session_update
from agent_relay.core.protocol.voice_codec import encode
from agent_relay.core.protocol.voice_events import create_message, create_response, update_session
from agent_relay.core.protocol.voice_target import VoiceTarget
from agent_relay.probe.questions import Event, Question, questions, refusal
from agent_relay.profiles import DEFAULT
from agent_relay.settings import RelaySettings
from agent_relay.voice.voice_link import Dialer
from agent_relay.voice.voice_live_client import SocketClosedError, VoiceSocket, trusted_certificates
from bridge_common.auth.entra_tokens import Tokens
from bridge_common.base.errors import BridgeError, OutsideError
from bridge_common.service.settings import load_settings

_READY_S = 15.0
"""A session of an agent takes up to about 5 s."""
_ANSWER_S = 3.0
_RESPONSE_S = 30.0
_REST_S = 0.3
"""Events of the previous question that arrive within this time are not read as an answer to the next one."""
_ENDS = frozenset({"response.done", "error"})
_ANSWERS = frozenset({"session.updated", "conversation.item.truncated", "error"})
_ITEM = "conversation.item."
_NO_REDIS = "redis://127.0.0.1:6379/0"
"""The settings require an address; the probe does not connect to it."""


class ProbeSession:
    """An open session whose events are read one after the other. `voice_live_client.Listener`."""

    def __init__(self, socket: VoiceSocket) -> None:
        self._socket = socket
        self._events: asyncio.Queue[Event | SocketClosedError] = asyncio.Queue()
        self.seen: set[str] = set()
        """Types of all events."""
        socket.listen(self)

    def on_message(self, message: memoryview | bytes) -> None:
        event = json.loads(bytes(message))
        self.seen.add(str(event.get("type")))
        self._events.put_nowait(event)

    def on_writable(self) -> None:
        pass

    def on_lost(self, why: SocketClosedError) -> None:
        self._events.put_nowait(why)

    async def until(self, ends: frozenset[str], within_s: float) -> list[Event]:
        """Return the events up to the first one of these types, or those of `within_s` seconds. Raises
        `SocketClosedError`.
        """
        found: list[Event] = []
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while True:
                    event = await self._events.get()
                    if isinstance(event, SocketClosedError):
                        raise event
                    found.append(event)
                    name = str(event.get("type"))
                    if name in ends or (ends is _ANSWERS and name.startswith(_ITEM)):
                        break
        return found

    async def ask(self, question: Question) -> str:
        await self.until(frozenset(), _REST_S)
        for event in question.send:
            self._socket.send(encode(event))
        if question.responds:
            return question.judge(await self.until(_ENDS, _RESPONSE_S))
        return question.judge(await self.until(_ANSWERS, _ANSWER_S))

    async def begin(self, target: VoiceTarget, settings: RelaySettings) -> str:
        """Configure the session and let the agent speak. Return the id of the spoken item. Raises `OutsideError`."""
        await self.until(frozenset({"session.created", "error"}), _READY_S)
        profile = settings.profiles()[DEFAULT]
        self._socket.send(encode(update_session(session_update(profile, target), "probe-setup")))
        ready = await self.until(frozenset({"session.updated", "error"}), _READY_S)
        if refused := refusal(ready):
            raise OutsideError(f"the session was not configured: {refused}", retry=False)
        for event in (create_message("user", "Please say hello."), create_response()):
            self._socket.send(encode(event))
        said = await self.until(_ENDS, _RESPONSE_S)
        return next((str(event["item_id"]) for event in said if event.get("item_id")), "")


async def probe(settings: RelaySettings) -> AsyncIterator[tuple[str, str]]:
    """Yield each question and its answer. Raises `BridgeError`."""
    target = settings.target
    tokens = Tokens({scope: settings.scopes[scope] for scope in target.scopes()})
    tls = trusted_certificates(target.endpoint)
    try:
        socket = await Dialer(target, tokens, tls=tls, open_timeout_s=_READY_S).dial(str(uuid.uuid4()), "")
        try:
            session = ProbeSession(socket)
            for question in questions(await session.begin(target, settings)):
                yield question.text, await session.ask(question)
            yield "types of events seen", ", ".join(sorted(session.seen))
        finally:
            await socket.close()
    finally:
        await tokens.aclose()


async def _print(settings: RelaySettings) -> tuple[int, dict[str, str]]:
    """Print each answer when it is known. Return the exit code and the answers."""
    answers: dict[str, str] = {}
    code = 0
    try:
        async for question, answer in probe(settings):
            answers[question] = answer
            print(f"{question}\n    {answer}", flush=True)  # noqa: T201  # a command for people
    except BridgeError as error:
        print(f"the probe ended early: {error.message}", file=sys.stderr)  # noqa: T201
        code = 1
    return code, answers


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m agent_relay.probe", description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the answers to this file")
    options = parser.parse_args(arguments)
    os.environ.setdefault("REDIS_URL", _NO_REDIS)
    settings = load_settings(RelaySettings)
    code, answers = asyncio.run(_print(settings))
    if options.json is not None:
        options.json.write_text(json.dumps({"mode": settings.target.mode, "answers": answers}, indent=2) + "\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
