"""The items of one conversation in order, with truncation to the part that was heard.

Formats: Voice Live API reference (`conversation.item.*`); echoed values follow recorded traffic.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from lab.voice_live.server_events import Event, RefusedError, new_id
from lab.voice_live.wire_values import is_one_of

_TEXT_PARTS = {
    "user": frozenset({"input_text", "text"}),
    "system": frozenset({"input_text", "text"}),
    "assistant": frozenset({"text", "output_text"}),
}
_OTHER_USER_PARTS = frozenset({"input_audio", "input_image"})


@dataclass(frozen=True)
class ConversationItem:
    """An item of a conversation. `text`: its words; `audio_ms`: generated audio (assistant only); `parts_ms`:
    `audio_ms` of each part if there are several.
    """

    id: str
    type: str
    role: str | None = None
    status: str = "completed"
    content: tuple[Event, ...] = ()
    text: str = ""
    audio_ms: int = 0
    call_id: str | None = None
    name: str | None = None
    arguments: str | None = None
    output: str | None = None
    phase: str | None = None
    """`phase` of the item; newer models set it for their final answers."""
    parts_ms: tuple[int, ...] = ()
    label: str | None = None
    """Label of the MCP server."""
    noise: bool = False
    """True for speech without words, such as a cough."""
    truncated: bool = False

    @property
    def spoken(self) -> bool:
        return self.role == "user" and any(part.get("type") == "input_audio" for part in self.content)

    def to_wire(self) -> Event:
        wire: Event = {"id": self.id, "object": "realtime.item", "type": self.type, "status": self.status}
        if self.type == "message":
            marked: Event = {"phase": self.phase} if self.phase else {}
            return wire | {"role": self.role, "content": [dict(part) for part in self.content], **marked}
        if self.type == "function_call":
            return wire | {"name": self.name, "call_id": self.call_id, "arguments": self.arguments}
        del wire["status"]
        if self.type == "mcp_approval_response":
            return wire | {"approval_request_id": self.call_id, "approve": self.output == "true"}
        if self.label is not None:
            wire |= {"name": self.name, "server_label": self.label, "arguments": self.arguments}
            return wire if self.type == "mcp_approval_request" else wire | {"output": self.output, "error": None}
        return wire | {"call_id": self.call_id, "output": self.output}


def user_audio(item_id: str, heard: str = "", *, noise: bool = False, transcribed: bool = False) -> ConversationItem:
    """Return an audio message of the caller. Its transcript is null on the wire unless it is `transcribed`."""
    part: Event = {"type": "input_audio", "transcript": heard if transcribed else None}
    return ConversationItem(item_id, "message", "user", content=(part,), text=heard, noise=noise)


def decode_item(given: object) -> ConversationItem:
    """Decode the item of `conversation.item.create`. Raises `RefusedError`."""
    if not isinstance(given, Mapping):
        raise RefusedError("'item' must be an object", "invalid_value", "item")
    item_id = given.get("id") or new_id("item")
    if not isinstance(item_id, str):
        raise RefusedError("'item.id' must be a string", "invalid_value", "item.id")
    kind = given.get("type")
    if kind == "message":
        return _decode_message(item_id, given)
    if kind == "function_call":
        name, arguments = _string(given, "name"), _string(given, "arguments")
        return ConversationItem(item_id, kind, call_id=_string(given, "call_id"), name=name, arguments=arguments)
    if kind == "function_call_output":
        return ConversationItem(item_id, kind, call_id=_string(given, "call_id"), output=_string(given, "output"))
    if kind == "mcp_approval_response":
        if set(given) - {"id", "type", "approval_request_id", "approve"} or not isinstance(given.get("approve"), bool):
            raise RefusedError("'item.approve' must be a boolean, without other fields", "invalid_value", "item")
        approve = "true" if given["approve"] else "false"
        return ConversationItem(item_id, kind, call_id=_string(given, "approval_request_id"), output=approve)
    raise RefusedError(f"Invalid value: 'item.type' {kind!r}", "invalid_value", "item.type")


def _string(given: Mapping[str, object], key: str) -> str:
    value = given.get(key)
    if not isinstance(value, str):
        raise RefusedError(f"'item.{key}' must be a string", "invalid_value", f"item.{key}")
    return value


def _decode_message(item_id: str, given: Mapping[str, object]) -> ConversationItem:
    role, parts = given.get("role"), given.get("content")
    if not isinstance(role, str) or role not in _TEXT_PARTS:
        raise RefusedError("'item.role' must be user, assistant or system", "invalid_value", "item.role")
    if not isinstance(parts, list) or not parts:
        raise RefusedError("'item.content' must be a list of parts", "invalid_value", "item.content")
    content = tuple(_decode_part(role, part) for part in parts)
    said = " ".join(str(part.get("text") or part.get("transcript") or "") for part in content)
    return ConversationItem(item_id, "message", role, content=content, text=said.strip())


def _decode_part(role: str, part: object) -> Event:
    kind = part.get("type") if isinstance(part, Mapping) else None
    if isinstance(part, Mapping) and is_one_of(kind, _TEXT_PARTS[role]) and isinstance(part.get("text"), str):
        return {"type": "text" if role == "assistant" else "input_text", "text": part["text"]}
    if isinstance(part, Mapping) and role == "user" and is_one_of(kind, _OTHER_USER_PARTS):
        return {key: value for key, value in part.items() if key != "audio"}
    raise RefusedError(f"Invalid content part {kind!r} of a {role} message", "invalid_value", "item.content")


@dataclass
class ConversationItems:
    """The items of a conversation. They belong to the resource, not to a socket: the conversation of an agent can be
    resumed by its id.
    """

    id: str
    owner: tuple[str, str] | None = None
    """The (agent, project) that may resume the conversation; `None` in model mode, in which a conversation ends with
    its socket.
    """
    items: list[ConversationItem] = field(default_factory=list)
    refuses_zero: bool = False
    """If true, truncation at 0 ms is an error."""
    any_part: bool = False
    """If true, parts other than the first can be truncated."""

    @property
    def user_turns(self) -> int:
        """Number of messages of the caller, without noises. It is the index of the next turn in the script."""
        return sum(1 for item in self.items if item.role == "user" and not item.noise)

    @property
    def last_item_id(self) -> str | None:
        return self.items[-1].id if self.items else None

    def find(self, item_id: object) -> ConversationItem | None:
        return next((item for item in self.items if item.id == item_id), None)

    def add(self, item: ConversationItem, previous_item_id: object = None) -> str | None:
        """Insert the item after `previous_item_id` (`"root"`: first; `None`: last). Return the id of the item before
        it. Raises `RefusedError`.
        """
        if self.find(item.id) is not None:
            raise RefusedError(f"Item {item.id!r} exists already", "invalid_value", "item.id")
        at = self._place_after(previous_item_id)
        self.items.insert(at, item)
        return self.items[at - 1].id if at else None

    def _place_after(self, previous_item_id: object) -> int:
        if previous_item_id is None:
            return len(self.items)
        if previous_item_id == "root":
            return 0
        previous = self.find(previous_item_id)
        if previous is None:
            raise RefusedError(f"No item {previous_item_id!r}", "invalid_value", "previous_item_id")
        return self.items.index(previous) + 1

    def put(self, item: ConversationItem) -> None:
        self.items = [item if known.id == item.id else known for known in self.items]

    def delete(self, item_id: object) -> None:
        item = self.find(item_id)
        if item is None:
            raise RefusedError(f"No item {item_id!r}", "item_delete_invalid_item_id", "item_id")
        self.items.remove(item)

    def truncate(self, item_id: object, content_index: object, audio_end_ms: object) -> ConversationItem:
        """Cut the audio of an assistant message at `audio_end_ms`, and its transcript in proportion. Return the
        shortened item. Raises `RefusedError`.
        """
        item = self.find(item_id)
        if item is None or item.role != "assistant":
            raise RefusedError(f"No assistant item {item_id!r}", "item_truncate_invalid_item_id", "item_id")
        parts_ms = item.parts_ms if self.any_part and item.parts_ms else (item.audio_ms,)
        if not isinstance(content_index, int) or not 0 <= content_index < len(parts_ms):
            raise RefusedError(
                f"'content_index' must be from 0 to {len(parts_ms) - 1}", "invalid_value", "content_index"
            )
        if not isinstance(audio_end_ms, int) or isinstance(audio_end_ms, bool) or audio_end_ms < 0:
            raise RefusedError("'audio_end_ms' must be an integer, 0 or greater", "invalid_value", "audio_end_ms")
        if self.refuses_zero and not audio_end_ms:
            raise RefusedError("Only model output audio messages can be truncated", "unsupported_content_type")
        if audio_end_ms > parts_ms[content_index]:
            text = f"Audio content of {parts_ms[content_index]}ms is already shorter than {audio_end_ms}ms"
            raise RefusedError(text, "invalid_value", "audio_end_ms")
        left = _shortened(item, content_index, audio_end_ms) if len(parts_ms) > 1 else _cut(item, audio_end_ms)
        left = replace(left, truncated=item.truncated or left.audio_ms < item.audio_ms)
        self.put(left)
        return left


def _cut(item: ConversationItem, audio_end_ms: int) -> ConversationItem:
    kept = _kept_words(item.text, audio_end_ms, item.audio_ms)
    return replace(
        item, text=kept, audio_ms=audio_end_ms, content=({"type": "audio", "transcript": kept},), parts_ms=()
    )


def _shortened(item: ConversationItem, index: int, audio_end_ms: int) -> ConversationItem:
    texts = [str(part.get("transcript") or "") for part in item.content]
    texts[index] = _kept_words(texts[index], audio_end_ms, item.parts_ms[index])
    parts_ms = (*item.parts_ms[:index], audio_end_ms, *item.parts_ms[index + 1 :])
    content: tuple[Event, ...] = tuple({"type": "audio", "transcript": text} for text in texts)
    said = " ".join(text.strip() for text in texts if text.strip())
    return replace(item, text=said, audio_ms=sum(parts_ms), content=content, parts_ms=parts_ms)


def _kept_words(text: str, audio_end_ms: int, audio_ms: int) -> str:
    """Return the words that remain after a truncation, as if all words had the same duration."""
    words = text.split()
    return " ".join(words[: len(words) * audio_end_ms // audio_ms]) if audio_ms else text
