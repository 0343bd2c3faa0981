from __future__ import annotations

from azure.communication.callautomation import DtmfTone

from lab.acs.dtmf import CHARACTERS, WORDS


def test_every_tone_of_the_sdk_has_a_character() -> None:
    assert set(CHARACTERS) == {tone.value for tone in DtmfTone}


def test_words_and_characters_are_each_others_inverse() -> None:
    assert set(WORDS) == set("0123456789ABCD*#")
    assert all(CHARACTERS[word] == character for character, word in WORDS.items())
