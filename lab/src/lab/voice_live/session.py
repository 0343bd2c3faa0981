"""The I/O of one session: reads the socket, sends the events of the dialogue, and produces responses at their pace."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Coroutine, Iterable
from dataclasses import replace

from starlette.websockets import WebSocket, WebSocketDisconnect

from lab.scenario import Agent
from lab.speech import SpeechError
from lab.voice_live import ga_dialect, server_events
from lab.voice_live.agent_script import CallFunction, Plan, SayStep, UseMcp, UseTool, found
from lab.voice_live.answering import Answering, audio_token_limit
from lab.voice_live.client_connection import connection_of
from lab.voice_live.client_events import ClientEvent, decode_client_event, plain_append
from lab.voice_live.dialogue import Dialogue
from lab.voice_live.handshake import VoiceAgentMode
from lab.voice_live.injected_faults import CloseFault, ResponseFault, due
from lab.voice_live.mcp_calls import McpCalls
from lab.voice_live.measured_line import MeasuredLine, measured_line
from lab.voice_live.platform_tools import reference_of
from lab.voice_live.record import SessionRecord
from lab.voice_live.resource import Resource
from lab.voice_live.server_events import Event, RefusedError
from lab.voice_live.simulated_response import COMPLETED, Ending, Response, failed, incomplete
from lab.voice_live.speech_plan import SpeechPlan, cut_at_odd_bytes, plan_speech
from lab.voice_live.voice_agent import flat_overrides, on_the_wire

END_CONVERSATION = "end_conversation"
"""System tool of voice agents. It is not documented what the client sees of it; here the socket is closed with 1000."""
EXPIRED = RefusedError("Your session hit the maximum duration of 60 minutes.", "session_expired")


class SimulatedSession:
    """One session. `run` returns when the socket is closed; the record remains available."""

    def __init__(self, websocket: WebSocket, resource: Resource, record: SessionRecord, agent: Agent) -> None:
        self.record = record
        self._websocket = websocket
        self._connection = connection_of(websocket)
        self._resource = resource
        settings = resource.settings
        self._answering = Answering(record, agent, settings.pre_generated_in_agent_mode)
        self._answering.spaced_arguments = settings.spaced_arguments
        self._dialogue = Dialogue(record, self._answering, lambda: resource.faults, settings.accept_session_agent)
        self._dialogue.unsupported = resource.unsupported
        self._mcp = McpCalls(record, self._answering, lambda: resource.faults.mcp, self._send)
        self._line: MeasuredLine | None = None
        self._openai, self._ga = record.mode.openai, record.mode.ga
        self._voice_agent = isinstance(record.mode, VoiceAgentMode)
        self._outbox: list[str] = []
        self._sending = asyncio.Lock()
        self._muted = False
        self._closed = False
        self._over = asyncio.Event()
        self._background: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            try:
                await self._converse(tasks)
            finally:
                if self._line is not None:
                    self._line.stop()
                for task in self._background:
                    task.cancel()
                self.record.state = "closed"
                self._over.set()

    async def _converse(self, tasks: asyncio.TaskGroup) -> None:
        await asyncio.sleep(self._resource.settings.session_setup_s + self._fault_delay_s("session_created"))
        await self._send(self._dialogue.open(time.monotonic()))
        self._start_begun(tasks)
        self._line = measured_line(self._dialogue, self._resource, self._send_now)
        self._connection.tap = self._hear_at_once if self._line is not None else None
        self._start(tasks, self._expire())
        if (drop := self._resource.faults.drop) is not None and drop.take():
            self._start(tasks, self._drop_after(drop.after_s))
        if (close := self._resource.faults.close) is not None and close.take():
            self._start(tasks, self._close_after(close))
        while (given := await self._receive()) is not None:
            await self._answer(given)
            self._mcp.follow(lambda work: self._start(tasks, work))
            self._start_begun(tasks)

    def _start_begun(self, tasks: asyncio.TaskGroup) -> None:
        for response, plan in self._answering.begun:
            self._start(tasks, self._respond(response, plan, time.monotonic()))
        self._answering.begun.clear()

    def _start(self, tasks: asyncio.TaskGroup, work: Coroutine[None, None, None]) -> None:
        task = tasks.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    # In

    async def _receive(self) -> str | bytes | None:
        """Return one message, or `None` when the socket is closed."""
        message = await self._websocket.receive()
        if message["type"] == "websocket.disconnect":
            if not self._closed:
                self._note_closed(message.get("code"), by="client")
            return None
        given: str | bytes | None = message.get("text")
        return message.get("bytes") or b"" if given is None else given

    async def _answer(self, given: str | bytes) -> None:
        now = time.monotonic()
        self.record.counters["events_in"] += 1
        client_event: ClientEvent | None = None
        try:
            client_event = decode_client_event(given)
            if self._voice_agent and client_event.type == "session.update":
                body = {**client_event.body, "session": flat_overrides(client_event.body.get("session"))}
                client_event = replace(client_event, body=body)
            elif self._ga:
                client_event = ga_dialect.flat_client_event(client_event)
            if self._line is not None and client_event.type == "input_audio_buffer.append":
                self._line.hear(client_event.body.get("audio"), now)
                return
            answers = self._dialogue.receive(client_event, now)
        except RefusedError as refused:
            refusal = ga_dialect.ga_refusal(refused) if self._ga else refused
            answers = [server_events.error(refusal, client_event.event_id if client_event else None)]
        if client_event is not None and client_event.type == "session.update":
            await asyncio.sleep(self._fault_delay_s("session_updated"))
            if (odd := self._resource.faults.odd_events) is not None and odd.take():
                answers.append(server_events.warning("Injected fault: odd_events", "lab_warning"))
        await self._send(answers)

    def _hear_at_once(self, text: bytes, now: float) -> bool:
        """Handle append events of echo and marks without the dialogue (fast path)."""
        audio = plain_append(text)
        if audio is None or self._line is None or self._closed or not self._line.hear_at_once(audio, now):
            return False
        self.record.counters["events_in"] += 1
        return True

    # Out

    async def _send(self, sent: Iterable[Event]) -> None:
        """Send events in the order of the calls, even if the socket is slow."""
        for one in sent:
            if one["type"] == "error" and isinstance(body := one["error"], dict):
                self.record.counters["errors"] += 1
                self.record.note(time.monotonic(), "error_sent", code=body["code"], message=body["message"])
            self._outbox += [server_events.encode_event(each) for each in self._on_the_wire(one)]
        async with self._sending:
            while self._outbox:
                await self._write(self._outbox.pop(0))

    def _on_the_wire(self, one: Event) -> list[Event]:
        repeated = self._resource.faults.repeated
        if self._openai and not self._ga and one["type"] == "response.function_call_arguments.done":
            # The preview version of Azure OpenAI sends the name of the function only with the item.
            one = {key: value for key, value in one.items() if key != "name"}
        sent = [one]
        if repeated is not None and one["type"] in repeated.types and repeated.take():
            sent.append({**one, "event_id": server_events.new_id("event")})
        if self._voice_agent and "session" in one:
            sent = [on_the_wire(each, self.record.session) for each in sent]
        elif self._ga:
            sent = [ga_dialect.with_ga_objects(each) for each in sent]
        if self.record.ga_names:
            sent = [renamed for each in sent for renamed in ga_dialect.renamed(each)]
        return sent

    def _send_now(self, text: bytes) -> bool:
        """Send an event of the echo or marks mode without waiting (fast path). Return false if that is not possible."""
        if self._closed or self._muted or not self._connection.send_now(text):
            return False
        self.record.counters["events_out"] += 1
        return True

    async def _write(self, text: str) -> None:
        if self._closed or self._muted:
            return
        self.record.counters["events_out"] += 1
        try:
            await self._websocket.send({"type": "websocket.send", "text": text})
        except WebSocketDisconnect:
            self._closed = True

    async def close(self, code: int, reason: str) -> None:
        if self._closed:
            return
        self._note_closed(code, by="server")
        with contextlib.suppress(WebSocketDisconnect):
            await self._websocket.send({"type": "websocket.close", "code": code, "reason": reason})

    def drop(self) -> None:
        """Abort the connection. The client reports close code 1006."""
        if not self._closed:
            self._note_closed(1006, by="server")
        self._connection.drop()

    def mute(self) -> None:
        self._muted = True
        self.record.note(time.monotonic(), "muted")

    def follow(self, agent: Agent) -> bool:
        """Change the script. Return false if the session or `agent` has no script (echo, marks)."""
        if agent.mode != "script" or self._answering.agent.mode != "script":
            return False
        self._answering.agent = agent
        return True

    def _note_closed(self, code: int | None, by: str) -> None:
        self._closed = True
        self.record.close_code = code
        self.record.note(time.monotonic(), "closed", code=code, by=by)

    # Responses

    async def _respond(self, response: Response, plan: Plan, began_at: float) -> None:
        answering, settings, faults = self._answering, self._resource.settings, self._resource.faults
        speech: SpeechPlan | Ending | None = None
        if isinstance(plan, UseMcp):
            await _until(began_at + settings.reply_delay_s)
            call = await self._mcp.use(response, plan)
            if call is not None and not response.over:
                await self._send(answering.call_function(response, call, faults, time.monotonic()))
            return
        if isinstance(plan, UseTool):
            plan = SayStep(await self._use_tool(plan))
        if plan.text and response.form.spoken and not response.silent:
            speech = await asyncio.to_thread(self._plan, plan.text, response)
        await _until(began_at + settings.reply_delay_s + response.works_s)
        if response.hidden and not response.over:
            await self._send(answering.reveal(response))
        if response.over:
            return
        failing = faults.response_failed
        if failing is not None and failing.form != "error" and failing.take():
            speech = await self._fail(failing)
        elif response.silent == "empty":
            speech = COMPLETED
        if isinstance(speech, Ending):
            await self._send(answering.end(response, speech, time.monotonic()))
        elif isinstance(plan, CallFunction):
            if speech is not None:
                await self._speak(response, speech, follows=True)
            if self._voice_agent and plan.name == END_CONVERSATION:
                await self._send(answering.end(response, COMPLETED, time.monotonic()))
                await self.close(1000, "")
                return
            if not response.over:
                await self._send(answering.call_function(response, plan, faults, time.monotonic()))
        elif speech is None:
            await self._write_out(response, plan.text)
        else:
            await self._speak(response, speech)

    async def _use_tool(self, plan: UseTool) -> str:
        """Return what the agent says then."""
        fault = due(self._resource.faults.agent_tool)
        if fault is not None and fault.form == "spoken":
            return f"The reference of this call is {reference_of(self.record.conversation)}. I end it now."
        running = self._resource.tools.use(plan.tool, self.record, fault, self._over)
        if fault is not None and fault.form == "after_end":
            return plan.text or found("")
        answer = await asyncio.shield(running)
        return plan.text or found(answer)

    async def _fail(self, fault: ResponseFault) -> Ending:
        if fault.form == "both":
            await self._send([server_events.error(RefusedError(fault.message, fault.code, kind=fault.type))])
        return failed(fault.code, fault.message, fault.type)

    def _plan(self, text: str, response: Response) -> SpeechPlan | Ending:
        """Synthesize a reply and cut it into deltas. Blocks, so run it in a thread."""
        limit = audio_token_limit(response, self.record)
        try:
            return plan_speech(text, response.form.output_audio_format, self._resource.settings.delta_ms, limit)
        except SpeechError as error:
            return failed("speech_synthesis_failed", str(error))

    async def _write_out(self, response: Response, text: str) -> None:
        answering = self._answering
        await self._send(answering.open_message(response))
        for number, word in enumerate(text.split()):
            if response.over:
                return
            await self._send(answering.write(response, f" {word}" if number else word))
        await self._send(answering.end(response, COMPLETED, time.monotonic()))

    async def _speak(self, response: Response, speech: SpeechPlan, *, follows: bool = False) -> None:
        """`follows`: a function call follows; leave the message and the response open."""
        answering, speed, faults = self._answering, self._resource.settings.speed, self._resource.faults
        pause = faults.parts if faults.parts is not None and faults.parts.take() else None
        if faults.odd_deltas is not None and faults.odd_deltas.take():
            speech = cut_at_odd_bytes(speech)
        stall = faults.stall if faults.stall is not None and faults.stall.take() else None
        cut = faults.response_incomplete
        cut_reason = cut.reason if cut is not None and cut.take() else None
        await self._send(answering.open_message(response))
        due_at = time.monotonic()
        for number, delta in enumerate(speech.deltas):
            await _until(due_at)
            if pause is not None and number and number == len(speech.deltas) // 2:
                await self._send(answering.next_part(response) if not response.over else [])
                await _until(time.monotonic() + pause.pause_s)
            if response.over:
                return
            await self._send(answering.say(response, delta, time.monotonic()))
            due_at = due_at + delta.ms / 1000 / speed if speed else 0.0
            if stall is not None and response.item is not None and response.item.audio_ms >= stall.after_ms:
                self._muted = True
                self.record.note(time.monotonic(), "stalled")
            if cut_reason is not None:
                break
        if follows:
            return
        ending = incomplete(cut_reason or "max_output_tokens") if cut_reason or speech.cut else COMPLETED
        await self._send(answering.end(response, ending, time.monotonic()))

    # Time and faults

    async def _expire(self) -> None:
        await asyncio.sleep(self._resource.settings.session_max_s)
        await self._send([server_events.error(EXPIRED)])
        await self.close(1001, "session_expired")

    async def _drop_after(self, after_s: float) -> None:
        await asyncio.sleep(after_s)
        self.drop()

    async def _close_after(self, fault: CloseFault) -> None:
        await asyncio.sleep(fault.after_s)
        if fault.reason == "session_expired":
            await self._send([server_events.error(EXPIRED)])
        await self.close(fault.code, fault.reason)

    def _fault_delay_s(self, name: str) -> float:
        faults = self._resource.faults
        fault = faults.session_created if name == "session_created" else faults.session_updated
        return fault.delay_s if fault is not None and fault.take() else 0.0


async def _until(at: float) -> None:
    """Sleep until a time. Always yields to the event loop, so that a fast reply does not block other sessions."""
    await asyncio.sleep(max(0.0, at - time.monotonic()))
