"""Agent speech: Voice Live audio deltas go to the downlink, and playout reports go back to the conversation.

Deltas arrive faster than real time, so the end of a response does not show how much of it the caller has heard. An item
stays open until the gateway reports how much of it was played.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from agent_relay.core.dialog.conversation_commands import Append, Command, Record, Send, WallClock, sends
from agent_relay.core.dialog.discarded_audio import DiscardedAudio
from agent_relay.core.dialog.history import History
from agent_relay.core.dialog.played_item import PlayedItem
from agent_relay.core.dialog.truncation import Truncations
from agent_relay.core.protocol.voice_events import AgentTranscriptDelta, AgentTranscriptDone, AudioDelta, ItemDone
from bridge_common.wire.audio import VOICE_RATE_HZ, bytes_of_ms, ms_of_bytes
from bridge_common.wire.entries import Audio, Clear, ItemEnd, Saying, Turn

PREVIOUS_OWNERS: Final = ""
"""Response id of items that the previous relay spoke."""
_NO_SESSION: Final = -1
ATTACH_S: Final = 1.0
"""Longest delay between the attachment of a media socket and its report. The socket may still play items that began
within this time.
"""
CUT_MS: Final = 500
"""If less audio than this is lost at the end of an item, the item is not repeated."""
UNPLAYED_S: Final = 2.0
"""If a new media socket has not begun to play a waiting item for this time, the item was lost with the previous one."""
UNTOLD_S: Final = 5.0
"""If there is no playout report, the playout of an item is estimated this long after its expected end."""


class AgentSpeech:
    """The agent's speech in one call, from the audio deltas to the playout reports. `truncates`: the relay truncates
    items in Voice Live to the audio that was heard (`auto_truncate` is off).
    """

    def __init__(self, history: History, clock: WallClock, *, truncates: bool) -> None:
        self.session = 0
        """Number of the current voice session; incremented when a session is lost."""
        self.truncations = Truncations()
        self._speech_end_at: float | None = None
        """When the caller's latest speech ended, until the answer begins."""
        self._history = history
        self._truncates = truncates
        self._clock = clock
        self._items: dict[str, PlayedItem] = {}
        """Items whose turn is not recorded yet, oldest first."""
        self._discarded = DiscardedAudio()
        self._cut: set[str] = set()
        self._spoken: dict[str, int] = {}
        """Bytes of audio of each response that has not ended, by response id."""

    @property
    def quiet(self) -> bool:
        return not self._unheard()

    @property
    def plays(self) -> bool:
        return any(item.first_frame_at is not None and item.heard_ms is None for item in self._items.values())

    def dropped(self, response_id: str) -> bool:
        """Return whether the response was interrupted and has not ended yet."""
        return self._discarded.dropped(response_id)

    def drop(self, response_id: str) -> None:
        self._discarded.drop(response_id)

    def resume(self, response_id: str) -> bool:
        """Play a dropped response after all. Return False if some of its audio was discarded."""
        return not self._of(response_id) and self._discarded.resume(response_id)

    def untouched(self, response_id: str) -> bool:
        """Return whether the response has audio of which the caller has received nothing."""
        items = self._of(response_id)
        return bool(items) and all(item.first_frame_at is None for item in items)

    def settled(self, response_ids: Collection[str]) -> bool:
        """Return whether the playout of every item of these responses is known."""
        return not any(item.response_id in response_ids for item in self._items.values())

    def response_of(self, item_id: str) -> str:
        """Return the id of the item's response; "" if the item's turn is recorded or belongs to another relay."""
        item = self._items.get(item_id)
        return item.response_id if item is not None else ""

    def may_be_unheard(self, response_id: str) -> bool:
        """Return whether audio of the response may still be played, or be cleared when the caller interrupts."""
        return any(item.heard_ms is None for item in self._of(response_id))

    def unplayed(self) -> set[str]:
        """Return the ids of responses that were not played yet."""
        return {item.response_id for item in self._items.values() if item.first_frame_at is None}

    def spoken_ms(self, response_id: str) -> int:
        """Return the milliseconds of audio received for a response; 0 after it has ended."""
        return int(ms_of_bytes(self._spoken.get(response_id, 0), VOICE_RATE_HZ))

    def adopt(self, saying: Saying) -> None:
        begun_at = self._clock.monotonic(saying.at_ms)
        item = self._items[saying.item_id] = PlayedItem(saying.item_id, PREVIOUS_OWNERS, _NO_SESSION, begun_at)
        item.first_frame_at = begun_at
        item.generated_bytes = bytes_of_ms(saying.generated_ms, VOICE_RATE_HZ)
        item.text, item.text_whole, item.audio_whole = saying.text, True, True
        item.settle_at = begun_at + saying.generated_ms / 1000 + UNTOLD_S

    @property
    def next_at(self) -> float | None:
        return min((i.settle_at for i in self._items.values() if i.settle_at is not None), default=None)

    def tick(self, now: float) -> list[Command]:
        due = [item for item in self._items.values() if item.settle_at is not None and now >= item.settle_at]
        for item in due:
            item.settle_at = None
        return [command for item in due for command in self._played_until(item, now)]

    # -- from Voice Live
    def delta(self, event: AudioDelta, now: float, *, answers: bool = True) -> list[Command]:
        """Forward an audio delta to the downlink unless its response was dropped. `answers`: the response answers the
        caller; latencies are measured for answers only.
        """
        item = self._items.get(event.item_id)
        if self._discarded.dropped(event.response_id) or self._discarded.closed(event.item_id):
            if item is not None:
                item.add_audio(event.pcm, event.content_index)
            else:
                self._discarded.discard(event.item_id, event.response_id)
            return []
        if item is None:
            item = self._begin(event.item_id, event.response_id, now)
        if item.first_delta_at is None:
            item.first_delta_at = now
            if answers:
                item.speech_end_at, self._speech_end_at = self._speech_end_at, None
        pcm = item.add_audio(event.pcm, event.content_index)
        self._spoken[event.response_id] = self._spoken.get(event.response_id, 0) + len(pcm)
        return [Append(Audio(event.item_id, pcm))] if pcm else []

    def item_done(self, event: ItemDone) -> list[Command]:
        """Complete the item that Voice Live has finished. The end of one part's audio does not complete its item."""
        item = self._items.get(event.item_id)
        if item is None or item.audio_whole:
            return []
        item.audio_whole = True
        ends: list[Command] = [] if item.cleared or not item.generated_bytes else [Append(ItemEnd(item.item_id))]
        return ends + self._saying(item)

    def text(self, event: AgentTranscriptDelta | AgentTranscriptDone, now: float) -> list[Command]:
        item_id, response_id = event.item_id, event.response_id
        item = self._items.get(item_id)
        if item is None:
            if self._discarded.dropped(response_id):
                self._discarded.discard(item_id, response_id)
                return []
            if self._discarded.closed(item_id):
                return []
            item = self._begin(item_id, response_id, now)
        item.add_text(event.text, event.content_index, whole=isinstance(event, AgentTranscriptDone))
        self._history.agent(item_id, item.heard_text())
        return self._settle(item)

    def response_done(self, response_id: str) -> list[Command]:
        commands: list[Command] = []
        for item in self._of(response_id):
            if self._discarded.dropped(response_id) and not item.generated_bytes:
                self._discarded.discard(item.item_id, response_id)
            commands += self._finish(item)
        self._spoken.pop(response_id, None)
        unsaid = self._discarded.response_done(response_id)
        # Without the deletion, the agent would assume that the caller heard this text.
        return commands + [Send(self.truncations.delete(item_id)) for item_id in unsaid if self._truncates]

    def session_lost(self) -> list[Command]:
        """Complete all items, because no further audio arrives. Audio already in the downlink is still played."""
        self.session += 1
        self._spoken.clear()
        self._discarded.session_lost()
        self.truncations.session_lost()
        return [command for item in list(self._items.values()) for command in self._finish(item)]

    # -- from the caller's side
    def caller_stopped(self, now: float) -> None:
        self._speech_end_at = now

    def caller_typed(self) -> None:
        """Measure no latency since the caller's words, because the caller has typed meanwhile."""
        self._speech_end_at = None

    def interrupt(self, active_response: str) -> list[Command]:
        """Clear all agent audio that was not played yet, because the caller speaks, and discard the rest of its
        responses.
        """
        if active_response:
            self._discarded.drop(active_response)
        unheard = self._unheard()
        for item in unheard:
            item.cleared = True
            self._discarded.close(item.item_id)
            if not item.audio_whole:
                self._discarded.drop(item.response_id)
        return [Append(Clear(unheard[-1].item_id))] if unheard else []

    def playing(self, item_id: str, now: float) -> None:
        item = self._items.get(item_id)
        if item is not None and item.first_frame_at is None:
            item.first_frame_at = now
            if item.settle_at is not None:
                item.settle_at = now + item.generated_ms / 1000 + UNTOLD_S

    def played(self, item_id: str, heard_ms: int, *, complete: bool) -> list[Command]:
        """Record how much of an item was heard. Only the first report about an item counts."""
        item = self._items.get(item_id)
        if item is None or item.heard_ms is not None or not item.generated_bytes:
            return []
        if complete and heard_ms < item.generated_ms - CUT_MS:
            # The beginning was lost: a new media socket plays only what is appended after it attached.
            heard_ms, complete = 0, False
        item.heard_ms, item.complete = heard_ms, complete
        commands: list[Command] = []
        if not complete:
            if not item.cleared and heard_ms < item.generated_ms - CUT_MS:
                self._cut.add(item.response_id)  # cut off by a lost media socket, not by an interruption
            self._history.agent(item_id, item.heard_text())
            if self._truncates and item.session == self.session:
                commands += sends(self.truncations.truncate(item))
        return commands + self._settle(item)

    def unheard_is_lost(self, now: float) -> list[Command]:
        """Estimate the playout of all complete items after the media socket was lost with its unplayed audio; no report
        will follow.
        """
        return [command for item in self._awaiting_report() for command in self._played_until(item, now)]

    def another_socket(self, lost_at: float, now: float) -> list[Command]:
        """Estimate the playout of items that a new media socket will not play. `lost_at`: when the previous socket,
        which may have been lost without a report, was last known alive.

        The new socket reads the downlink from its end, so items that were complete before it attached are lost.
        """
        commands: list[Command] = []
        begins_by = now + UNPLAYED_S
        for item in self._awaiting_report():
            if item.first_frame_at is not None or item.begun_at < now - ATTACH_S:
                commands += self._played_until(item, lost_at)
            else:
                # It may have been appended before or after the new socket attached.
                item.settle_at = begins_by
                begins_by += item.generated_ms / 1000
        return commands

    def take_cut(self) -> set[str]:
        """Return the ids of responses that lost more than `CUT_MS` of audio with a media socket since the last call of
        this method.
        """
        cut, self._cut = self._cut, set()
        return cut

    def call_ended(self, now: float) -> list[Command]:
        commands = self.session_lost() + self.unheard_is_lost(now)
        return [c for c in commands if isinstance(c, Record) and isinstance(c.entry, Turn)]

    # --
    def _of(self, response_id: str) -> list[PlayedItem]:
        return [item for item in self._items.values() if item.response_id == response_id]

    def _unheard(self) -> list[PlayedItem]:
        """Return the items with audio that may still be played, except those already cleared."""
        return [i for i in self._items.values() if i.heard_ms is None and i.generated_bytes and not i.cleared]

    def _awaiting_report(self) -> list[PlayedItem]:
        return [item for item in self._items.values() if item.heard_ms is None and item.audio_whole]

    def _played_until(self, item: PlayedItem, at: float) -> list[Command]:
        heard_ms = item.estimated_heard_ms(at)
        return self.played(item.item_id, heard_ms, complete=heard_ms >= item.generated_ms)

    def _begin(self, item_id: str, response_id: str, now: float) -> PlayedItem:
        self._history.agent(item_id)
        item = self._items[item_id] = PlayedItem(item_id, response_id, self.session, now)
        return item

    def _finish(self, item: PlayedItem) -> list[Command]:
        """Complete an item to which no further audio or text will be added."""
        if not item.generated_bytes:
            # Without audio the caller has not heard the text either.
            self._history.agent(item.item_id)
            self._items.pop(item.item_id, None)
            return []
        ends: list[Command] = [] if item.audio_whole or item.cleared else [Append(ItemEnd(item.item_id))]
        item.audio_whole = item.text_whole = True
        return ends + self._settle(item)

    def _settle(self, item: PlayedItem) -> list[Command]:
        """Record the turn once its text and its playout are known; until then, record it as being spoken."""
        if item.heard_ms is None or not item.text_whole:
            return self._saying(item)
        self._items.pop(item.item_id, None)
        self._discarded.close(item.item_id)
        turn = item.turn(self._clock.unix_ms(item.begun_at))
        self._history.agent(item.item_id, turn.text)
        return [Record(turn)]

    def _saying(self, item: PlayedItem) -> list[Command]:
        """Record the complete text before playout ends, for the next relay of the call."""
        if not (item.text_whole and item.audio_whole and item.text) or item.noted:
            return []
        item.noted = True
        return [Record(item.saying(self._clock.unix_ms(item.begun_at)))]
