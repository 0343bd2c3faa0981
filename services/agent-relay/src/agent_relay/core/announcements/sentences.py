"""Finds the ends of sentences in text that is still arriving.

A wrong cut is audible (a pause after "Dr."), a missed one is not; in doubt the text is not cut. A stop (such as `.` or
`?`) is evaluated as soon as the character after the following space is known. If no text follows a stop, `flush` cuts
there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

LONGEST: Final = 400
"""Longest sentence, in characters. A longer one is cut between two clauses or two words."""
_WIDE: Final = "。！？｡"
"""Stops that need no space after them (CJK)."""
_STOPS: Final = rf".!?…‼⁇⁈⁉{_WIDE}؟۔।॥։።။៕"
_CLOSERS: Final = "\"'”’»›)]}」』）】》〉］"
_STOP: Final = re.compile(rf"[{_STOPS}]+[{re.escape(_CLOSERS)}]*")
_PARAGRAPH: Final = re.compile(r"[^\S\n]*\n(?:\s*\n|[^\S\n]*(?:[-*•–]\s|\d{1,2}[.)]\s))")
"""A blank line, or a line that begins a list item."""
_CLAUSE: Final = re.compile(r"[,;:،؛、，；：—–]\s*")
_OPENERS: Final = "\"'“‘«‹„¿¡([{「『（【《〈"


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_BEFORE_NUMBERS: Final = _words(
    "no nos nr nrn núm nº art abs kap ch fig figs vol vols p pp sec tel ext op "
    "jan feb mar apr jun jul aug sep sept oct okt nov dec dez"
)
_TITLES: Final = _words(
    "dr drs mr mrs ms mx messrs prof rev fr hon pres gov sen rep gen col maj capt cpt cmdr lt sgt st ste mt hr frl "
    "sr sra srta dra dn dña ud uds mme mlle mgr sig dott avv ing "
    "vs cf approx ca bzw bspw evtl ggf inkl exkl vgl bzgl geb gest str etw viz incl dept"
)
_INSIDE: Final = re.compile(r"e\.?g|i\.?e|z\.?b|d\.h|u\.a|o\.ä|i\.d\.r|s\.o|p\.ej|p\.ex|n\.b")
_DOTTED: Final = re.compile(r"(?:[^\W\d_]\.)+[^\W\d_]")
"""Letters separated by stops, without the last stop: `U.S`, `a.m`."""
_ORDINAL_LANGUAGES: Final = _words("cs da de et fi hr hu is lv nb nn no pl sk sl sr tr")


@dataclass(frozen=True, slots=True)
class Sentence:
    text: str
    end: int
    """End position in the whole text, including the space after the sentence."""


class SentenceCutter:
    """Cuts arriving text into sentences. `language`: a tag such as `de-DE`; in some languages `3.` is an ordinal.
    `begin`: position of the first piece.
    """

    def __init__(self, language: str = "", begin: int = 0) -> None:
        self._ordinals = language.partition("-")[0].lower() in _ORDINAL_LANGUAGES
        self._text = ""
        self._begin = begin
        """Position of `_text` in the whole text."""
        self._looked = 0
        """No sentence ends in `_text` before this position."""

    @property
    def waiting(self) -> bool:
        """Whether text has arrived that is not part of a complete sentence yet."""
        return bool(self._text.strip())

    @property
    def at_stop(self) -> bool:
        """Whether the waiting text looks like a complete sentence."""
        text = self._text.rstrip()
        stops = list(_STOP.finditer(text, self._looked))
        return bool(stops) and stops[-1].end() == len(text) and not self._abbreviates(stops[-1], "")

    def feed(self, text: str) -> list[Sentence]:
        self._text += text
        sentences: list[Sentence] = []
        while end := self._find_end():
            sentences += self._cut(end)
        return sentences

    def flush(self) -> list[Sentence]:
        """Cut the waiting text, even if it is not a complete sentence."""
        return self._cut(len(self._text))

    def _cut(self, end: int) -> list[Sentence]:
        rest = self._text[end:].lstrip()
        end = len(self._text) - len(rest)
        sentence = " ".join(self._text[:end].split())
        self._text, self._looked = rest, 0
        self._begin += end
        return [Sentence(sentence, self._begin)] if sentence else []

    def _find_end(self) -> int:
        """Return the end of the first sentence, 0 while it is unknown."""
        paragraph = _PARAGRAPH.search(self._text)
        until = paragraph.start() if paragraph and self._text[: paragraph.start()].strip() else len(self._text)
        for stop in _STOP.finditer(self._text, self._looked, until):
            if stop.end() > LONGEST:
                break
            ends = self._ends(stop)
            if ends:
                return stop.end()
            if ends is None:
                break
            self._looked = stop.end()
        if until < len(self._text) and until <= LONGEST:
            return until
        return self._clause_end() if len(self._text) > LONGEST else 0

    def _ends(self, stop: re.Match[str]) -> bool | None:
        """Return whether a sentence ends at this stop; None while that is unknown."""
        behind = self._text[stop.end() :]
        if not behind:
            return None
        if stop.group()[0] in _WIDE:
            # 「はい。」と …: the quotation is part of the sentence.
            quoted = stop.group()[-1] in _CLOSERS
            return not (quoted and "ぁ" <= behind[0] <= "ゖ")
        if not behind[0].isspace():
            return False
        follows = behind.lstrip()
        if not follows:
            return None
        word = follows.lstrip(_OPENERS)
        if not word or (word[0].islower() and len(word) < 2):
            return None
        if word[0].islower() and not word[1].isupper():
            return False
        return not self._abbreviates(stop, word)

    def _abbreviates(self, stop: re.Match[str], word: str) -> bool:
        """Return whether the stop is part of an abbreviation, an ordinal or an initial. `word`: the text after the
        stop, "" while there is none.
        """
        if stop.group() != ".":
            return False
        before = self._text[: stop.start()]
        last = re.split(r"[\s/]", before)[-1].lstrip(_OPENERS + "-–—").casefold()
        number = word[:1].isdigit() or not word
        if last.isdigit():
            # "1. Open the box", "am 3. Oktober"
            return before.strip().isdigit() or (self._ordinals and len(last) <= 2)
        if last in _TITLES or _INSIDE.fullmatch(last):
            return True
        if last in _BEFORE_NUMBERS:
            return number and (bool(word) or last != "no")
        if len(last) == 1:
            # An initial; but "so do I."
            return last != "i" and before[-1:].isupper()
        return bool(_DOTTED.fullmatch(last)) and before[-1:].isupper()

    def _clause_end(self) -> int:
        head = self._text[:LONGEST]
        clauses = [found.end() for found in _CLAUSE.finditer(head, LONGEST // 4)]
        return clauses[-1] if clauses else max(head.rfind(" "), 0) or LONGEST
