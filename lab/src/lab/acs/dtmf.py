"""DTMF tones: characters on the media socket, words in REST requests and callback events."""

from __future__ import annotations

WORDS: dict[str, str] = {
    "0": "zero",
    "1": "one",
    "2": "two",
    "3": "three",
    "4": "four",
    "5": "five",
    "6": "six",
    "7": "seven",
    "8": "eight",
    "9": "nine",
    "A": "a",
    "B": "b",
    "C": "c",
    "D": "d",
    "*": "asterisk",
    "#": "pound",
}
CHARACTERS: dict[str, str] = {word: character for character, word in WORDS.items()}
