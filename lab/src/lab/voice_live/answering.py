"""The responses of one session, from `response.create` to `response.done`. No I/O and no clock.

The session produces the responses in `begun`: it calls `open_message` or `open_call`, then the deltas at its own pace,
then `end`. Once a response has ended (`response.over`), the session stops producing it.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass, field

from lab.scenario import Agent, ScenarioMcpCall
from lab.voice_live.agent_script import CallFunction, Plan, SayStep, next_plan
from lab.voice_live.conversation_items import ConversationItem
from lab.voice_live.handshake import AgentMode, VoiceAgentMode
from lab.voice_live.injected_faults import VoiceLiveFaults, due
from lab.voice_live.record import SessionRecord
from lab.voice_live.server_events import Event, RefusedError, event
from lab.voice_live.session_fields import CHECKS
from lab.voice_live.simulated_response import COMPLETED, Ending, Response, ResponseForm, cancelled, failed
from lab.voice_live.speech_plan import Delta
from lab.voice_live.voice_agent import extra_events

FIRST_WITH_PRE_GENERATED = "2026-01-01-preview"


@dataclass
class Answering:
    record: SessionRecord
    agent: Agent
    pre_generated_allowed: bool = True
    spaced_arguments: bool = False
    active: Response | None = None
    latest_spoken: Response | None = None
    """The latest response with audio; the caller may still be hearing it."""
    deferred: list[Event] = field(default_factory=list)
    """Transcription events of the caller's turn that follow the start of the response."""
    begun: list[tuple[Response, Plan]] = field(default_factory=list)

    def begin(
        self, options: Mapping[str, object], now: float, faults: VoiceLiveFaults, plan: Plan | None = None
    ) -> list[Event]:
        """Begin a response to the conversation. `plan` replaces the next step of the script. Raises `RefusedError` if
        there is an active response.
        """
        if self.active is not None and not options.get("cancel_previous"):
            text = f"Conversation already has an active response in progress: {self.active.id}"
            raise RefusedError(text, "conversation_already_has_active_response")
        self._refuse_what_is_newer(options)
        self._refuse_in_agent_mode(options)
        form = self._form(options)
        _refuse_by_fault(faults)
        if "pre_generated_assistant_message" not in options:
            self._refuse_without_output(faults)
        if plan is None:
            plan = next_plan(self.agent, self.record.conversation, options, spaced_arguments=self.spaced_arguments)
        if isinstance(plan, CallFunction) and isinstance(self.record.mode, VoiceAgentMode):
            plan = plan if self._has_tool(plan.name) else SayStep(f"I have no tool {plan.name}.")
        answers = self.end(self.active, cancelled("client_cancelled"), now) if self.active is not None else []
        if self.agent.mode != "script":
            # In the modes echo and marks, the measured line sends the audio of this response.
            return [*answers, *self.open_endless(now)[1]]
        response = self.active = Response(form)
        if (slow := due(faults.response_slow)) is not None:
            response.works_s, response.hidden = slow.delay_s, slow.created == "late"
        if isinstance(plan, SayStep) and form.spoken and (silent := due(faults.response_silent)) is not None:
            response.silent = silent.form
        self.begun.append((response, plan))
        self.record.note(now, "response_created", response_id=response.id)
        if not response.hidden:
            answers.append(response.created())
        if faults.odd_events is not None and faults.odd_events.take():
            answers += [event("rate_limits.updated", rate_limits=[]), event("foo.bar", payload={"any": ["thing"]})]
            answers += extra_events() if isinstance(self.record.mode, VoiceAgentMode) else []
        return answers

    def _has_tool(self, name: str) -> bool:
        tools = self.record.session.get("tools")
        return isinstance(tools, list) and any(tool.get("name") == name for tool in tools)

    def open_endless(self, now: float) -> tuple[Response, list[Event]]:
        """Open a spoken response that lasts until the session ends, for echo and marks."""
        response = self.active = Response(self._form({"modalities": ["text", "audio"]}))
        self.record.note(now, "response_created", response_id=response.id)
        return response, [response.created(), *self.open_message(response)]

    def reveal(self, response: Response) -> list[Event]:
        response.hidden = False
        return [response.created()]

    def cancel(self, response_id: object, now: float) -> list[Event]:
        if self.active is None or response_id not in (None, self.active.id):
            raise RefusedError("Cancellation failed: no active response found", "response_cancel_not_active")
        return self.end(self.active, cancelled("client_cancelled"), now)

    def open_message(self, response: Response) -> list[Event]:
        opening = list(response.open_message(self._previous_item_id(response)))
        self._remember(response)
        return opening

    def close_message(self, response: Response) -> list[Event]:
        """Before a function call in the same response."""
        closing = response.close_message()
        self._keep(response)
        if response.item is not None:
            self._note_said(response, response.item, "completed")
        return closing

    def begin_aside(self, now: float) -> Response:
        """Begin a response that neither the client nor the caller has requested."""
        response = self.active = Response(self._form({}))
        self.record.note(now, "response_created", response_id=response.id)
        return response

    def open_mcp(self, response: Response, kind: str, call: ScenarioMcpCall) -> list[Event]:
        opening = list(response.open_mcp(kind, call, self._previous_item_id(response)))
        self._remember(response)
        return opening

    def end_mcp(self, response: Response, now: float, *, ok: bool, output: str) -> list[Event]:
        closing = response.end_mcp(ok=ok, output=output)
        if response.item is not None:
            # The model sees the result after everything that was said meanwhile.
            self.record.conversation.delete(response.item.id)
            self.record.conversation.add(response.item)
        name = response.item.name if response.item is not None else ""
        self.record.note(now, "mcp_call", name=name, ok=ok, answer=output)
        return closing

    def open_call(self, response: Response, name: str) -> list[Event]:
        opening = list(response.open_call(name, self._previous_item_id(response)))
        self._remember(response)
        return opening

    def call_function(self, response: Response, plan: CallFunction, faults: VoiceLiveFaults, now: float) -> list[Event]:
        """Call a function of the client, after the words of the response if it has any."""
        form = ""
        if isinstance(self.record.mode, AgentMode):
            fault = due(faults.agent_function)
            form = fault.form if fault is not None else ""
            self.record.note(now, "agent_function", name=plan.name, form=form)
        if form == "stalled":
            return []
        if form == "failed":
            return self.end(response, failed("function_call_failed", f"Function {plan.name} cannot be called"), now)
        events = self.close_message(response) if response.item is not None else []
        events += self.open_call(response, plan.name) + self.call_with(response, plan.arguments)
        return events + self.end(response, COMPLETED, now)

    def refuse_output(self, faults: VoiceLiveFaults) -> None:
        """Raises `RefusedError` if the agent's service accepts no function output of the client."""
        if self._refuses_outputs(faults):
            raise RefusedError("Function call outputs are not supported in Agent mode", "invalid_value", "item")

    def _refuses_outputs(self, faults: VoiceLiveFaults) -> bool:
        fault = faults.agent_function
        return isinstance(self.record.mode, AgentMode) and fault is not None and fault.form == "refused"

    def _refuse_without_output(self, faults: VoiceLiveFaults) -> None:
        last = self.record.conversation.items[-1] if self.record.conversation.items else None
        if last is not None and last.type == "function_call" and self._refuses_outputs(faults):
            raise RefusedError(f"No tool output found for function call {last.call_id}.", None, "input")

    def say(self, response: Response, delta: Delta, now: float) -> list[Event]:
        said = [response.text_delta(word) for word in delta.words]
        if response.first_delta_at is None:
            self.record.note(now, "first_delta", response_id=response.id)
            self.latest_spoken = response
            said += self.take_deferred()
        said.append(response.audio_delta(delta.audio, delta.audio_bytes, delta.ms, now))
        self._keep(response)
        if response.item is not None:
            self.record.speech.setdefault(response.item.id, bytearray()).extend(b64decode(delta.audio))
        self.record.counters["deltas"] += 1
        return said

    def next_part(self, response: Response) -> list[Event]:
        parts = response.next_part()
        self._keep(response)
        return parts

    def write(self, response: Response, text: str) -> list[Event]:
        written = [response.text_delta(text), *self.take_deferred()]
        self._keep(response)
        return written

    def call_with(self, response: Response, arguments: str) -> list[Event]:
        half = len(arguments) // 2
        deltas = [response.arguments_delta(part) for part in (arguments[:half], arguments[half:]) if part]
        self._keep(response)
        return [*deltas, *self.take_deferred()]

    def end(self, response: Response, ending: Ending, now: float) -> list[Event]:
        """End a response. No effect if it has ended already."""
        if response.over:
            return []
        closing = response.finish(ending)
        self._keep(response)
        if self.active is response:
            self.active = None
        item = response.item
        if item is not None and item.type == "message":
            self._note_said(response, item, response.status)
        elif item is not None and item.type == "function_call":
            self.record.note(now, "function_call", name=item.name, call_id=item.call_id, status=response.status)
        self.record.note(now, "response_done", response_id=response.id, status=response.status)
        return [*self.take_deferred(), *closing]

    def _note_said(self, response: Response, item: ConversationItem, status: str) -> None:
        said = {"item_id": item.id, "text": item.text, "ms": item.audio_ms, "bytes": response.audio_bytes}
        self.record.said.append({**said, "status": status})

    def take_deferred(self) -> list[Event]:
        deferred, self.deferred = self.deferred, []
        return deferred

    def _previous_item_id(self, response: Response) -> str | None:
        items = self.record.conversation.items
        if response.form.conversation_id is None or not items:
            return None
        # Cascaded pipelines send the id of the previous item only if that item was spoken.
        return items[-1].id if items[-1].spoken or not response.form.cascaded else ""

    def _remember(self, response: Response) -> None:
        if response.item is not None and response.form.conversation_id is not None:
            self.record.conversation.add(response.item)

    def _keep(self, response: Response) -> None:
        if response.item is not None and response.form.conversation_id is not None:
            self.record.conversation.put(response.item)

    def _refuse_what_is_newer(self, options: Mapping[str, object]) -> None:
        mode, key = self.record.mode, "pre_generated_assistant_message"
        too_old = mode.api_version < FIRST_WITH_PRE_GENERATED or mode.openai or mode.ga
        if key in options and too_old:
            raise RefusedError(f"'response.{key}' unexpected (extra fields not permitted)", param=f"response.{key}")

    def _refuse_in_agent_mode(self, options: Mapping[str, object]) -> None:
        if not isinstance(self.record.mode, AgentMode):
            return
        if options.get("instructions") is not None:
            raise RefusedError(
                "Overriding instructions in response.create is not supported", param="response.instructions"
            )
        if options.get("tools"):
            text = "Overriding tools in response.create is not supported"
            raise RefusedError(text, "tools_configuration_not_supported", "response.tools")
        if "pre_generated_assistant_message" in options and not self.pre_generated_allowed:
            text = "pre_generated_assistant_message is not supported in Agent mode"
            raise RefusedError(text, param="response.pre_generated_assistant_message")

    def _form(self, options: Mapping[str, object]) -> ResponseForm:
        """Merge the settings of the session with those of `response.create`. Raises `RefusedError`."""
        record, session = self.record, dict(self.record.session)
        for key in ("voice", "output_audio_format", "temperature"):
            if options.get(key) is not None:
                session[key] = CHECKS[key](f"response.{key}", options[key], session, record.mode)
        tokens = options.get("max_output_tokens") or options.get("max_response_output_tokens")
        if tokens is not None:
            tokens = CHECKS["max_response_output_tokens"]("response.max_output_tokens", tokens, session, record.mode)
        tokens = tokens or session.get("max_response_output_tokens") or "inf"
        modalities = options.get("modalities") or session.get("modalities")
        return ResponseForm(
            conversation_id=None if options.get("conversation") == "none" else record.conversation.id,
            modalities=tuple(sorted(map(str, modalities))) if isinstance(modalities, list) else ("audio", "text"),
            voice=session.get("voice"),
            output_audio_format=str(session.get("output_audio_format") or "pcm16"),
            temperature=None if record.mode.native and not record.mode.openai else session.get("temperature"),
            max_output_tokens=tokens if isinstance(tokens, int) else "inf",
            metadata=options.get("metadata"),
            cascaded=not record.mode.native,
            openai=record.mode.openai,
            phase="final_answer" if record.mode.marks_phases else None,
        )


def _refuse_by_fault(faults: VoiceLiveFaults) -> None:
    failing = faults.response_failed
    if failing is not None and failing.form == "error" and failing.take():
        raise RefusedError(failing.message, failing.code, kind=failing.type)


def audio_token_limit(response: Response, record: SessionRecord) -> int | None:
    """Return the maximum number of audio tokens. Only native models have one."""
    limit = response.form.max_output_tokens
    return limit if record.mode.native and isinstance(limit, int) else None
