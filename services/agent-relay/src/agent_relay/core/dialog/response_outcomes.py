"""Whether the caller hears what is owed in a response, and what follows if not."""

from __future__ import annotations

from agent_relay.core.dialog.agent_speech import AgentSpeech
from agent_relay.core.dialog.caller_speech import CallerSpeech
from agent_relay.core.dialog.conversation_commands import Command, Send
from agent_relay.core.dialog.debt import Missed
from agent_relay.core.dialog.prompts import Prompts
from agent_relay.core.dialog.wall_clock import WallClock
from agent_relay.core.protocol.voice_events import ResponseDone, cancel_response


class ResponseOutcomes:
    def __init__(self, prompts: Prompts, speech: AgentSpeech, caller: CallerSpeech, clock: WallClock) -> None:
        self._prompts = prompts
        self._speech = speech
        self._caller = caller
        self._clock = clock
        self._written = ("", "")
        """A response and the text of its last part, spoken or not."""

    def wrote(self, response_id: str, text: str) -> None:
        """The text of a part is complete."""
        self._written = (response_id, text)

    def ended(self, event: ResponseDone, now: float, *, silent: bool, cut: bool = False) -> list[Command]:
        """A response of the agent has ended, and was not interrupted. `silent`: without audio and without a tool;
        `cut`: so early that it has failed.
        """
        failed = event.status == "failed" or cut or (silent and event.status != "cancelled")
        if event.status == "cancelled":
            failed = cut or (silent and not self._caller.speaks)
        why = event.reason or ("no audio" if event.status == "completed" else event.status)
        commands: list[Command] = []
        if event.status in ("failed", "incomplete"):
            commands.append(self._clock.notice("response_failed", why, now))
        if not failed:
            self._prompts.owed.ended(event.response_id)
            return commands
        text = self._written[1] if event.status == "completed" and self._written[0] == event.response_id else ""
        return commands + self._prompts.response_failed(event, why, now, text=text.strip())

    def missed(self, missed: Missed | None, now: float) -> list[Command]:
        """If the service is stuck and the session is kept, the active response is cancelled first."""
        commands = self._prompts.missed(missed, now)
        if missed is not None and missed.stuck and not missed.move:
            stuck = self._prompts.responses.forget()
            if stuck:
                self._speech.drop(stuck)
                commands.append(Send(cancel_response(stuck)))
        return commands
