"""Texts about transfers: for the people in the call, and messages for the agent."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from agent_relay.core.protocol.transfer_profile import TransferProfile
from bridge_common.wire.action_kinds import MAX_TOPIC

NO_RETURN: Final = frozenset({"canceled", "interrupted"})
"""Reasons for which the agent is not asked to speak: it talks with the caller, who was never away."""
_REASONS: Final = {
    "busy": "{} was busy.",
    "declined": "{} declined the call.",
    "no_answer": "{} did not answer.",
    "wrong_number": "The number of {} is wrong or not in use.",
    "unreachable": "{} could not be reached.",
    "not_confirmed": "The call to {} was answered, but nobody took it: it may have been a voicemail.",
    "refused": "The telephone service refused the call to {}.",
    "person_left": "{} has left the call.",
    "requested": "The caller asked to talk to you again, instead of {}.",
    "canceled": "The call to {} was canceled.",
    "interrupted": "The caller was not connected to {}, because they are still talking.",
}
_JOINED: Final = " You did not hear what they said to each other."
_ASK: Final = (
    " The caller hears you again. Tell them what happened in one short sentence, and continue the conversation."
)
_REASON: Final = re.compile(r"[a-z_]+")
_UNSPOKEN: Final = re.compile(r"[^\w .,:;!?&'’+/()-]")
"""Characters that are removed from names and topics, so that they cannot end the quoted text in a request."""
_MOST_NAME: Final = 64
_PHONE: Final = re.compile(r"4:(\+?[0-9]{3,15})")


def returned_text(name: str, reason: str, *, joined: bool) -> str:
    """Return the message to the agent when the caller is back. `reason`: as in the instruction `returned`, perhaps with
    a code after it.
    """
    kind = _REASON.match(reason)
    words = _REASONS.get(kind[0] if kind else "", "{} was not connected; the reason is unknown.")
    if joined and words not in (_REASONS["person_left"], _REASONS["requested"]):
        words = "The conversation with {} is over."
    sentence = words.format(spoken(name, _MOST_NAME) or "the person")
    return f"{sentence[0].upper()}{sentence[1:]}" + (_JOINED if joined else "") + _ASK


def under_way_text(name: str) -> str:
    """Return the answer to an agent that requests a second transfer."""
    target = spoken(name, _MOST_NAME)
    return f"A transfer{target and f' to {target}'} is under way. Wait for its outcome."


def people_text(names: Sequence[str]) -> str:
    if not names:
        return "Nobody except the caller is in the call with you now."
    # Without quotation marks: a quoted text could be taken for words to say.
    return f"In the call with you now: the caller, {', '.join(spoken(name, _MOST_NAME) for name in names)}."


def introduction(profile: TransferProfile, caller: str, topic: str) -> str:
    """Return the text for the person who has answered: introduction and question, "" if the profile has neither."""
    text = (profile.introduction or "").replace("{caller}", caller or profile.caller_text)
    text = " ".join(text.replace("{topic}", spoken(topic, MAX_TOPIC)).split())
    question = "" if profile.confirm is None else profile.confirm.question
    return f"{text} {question}".strip()


def caller_name(raw_id: str, display_name: str) -> str:
    """Return how the caller is called in an introduction: their name or number; "" if both are unknown."""
    number = _PHONE.fullmatch(raw_id)
    return spoken(display_name, _MOST_NAME) or (number[1] if number else "")


def spoken(text: str, most: int) -> str:
    """Return an untrusted text without characters that could end a quotation."""
    return " ".join(_UNSPOKEN.sub(" ", text).split())[:most]
