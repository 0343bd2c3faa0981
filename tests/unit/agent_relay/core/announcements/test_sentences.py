from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_relay.core.announcements.sentences import LONGEST, SentenceCutter

CASES: list[tuple[str, list[str]]] = [
    ("en", ["Hello there.", "How are you?", "Fine!"]),
    ("en", ["Yes.", "I can do that.", "Sure!"]),
    ("en", ["No.", "That is not possible."]),
    ("en", ["Dr. Smith will call you.", "Please wait."]),
    ("en", ["Mr. and Mrs. Jones vs. the state.", "It was long."]),
    ("en", ["It costs 3.50 dollars.", "That is 2,000.5 euros.", "Your balance is $4.", "Your limit is $5."]),
    ("en", ["J. R. R. Tolkien wrote it.", "So do I.", "You may like it."]),
    ("en", ["We ship to the U.S. and Canada.", "The U.S. Army called.", "Twice."]),
    ("en", ["She said, “Wait here.”", "Then she left."]),
    ("en", ['He asked "Why?"', "Nobody knew."]),
    ("en", ["“Are you sure?” she asked.", "“Quite.”", "'Twas late."]),
    ("en", ["(It is closed today.)", "[Note: closed.]", "Come back on Monday."]),
    ("en", ["Well ... let me see.", "Hmm...", "I see.", "Let me think…", "Yes, we have it."]),
    ("en", ["Write to help@example.com.", "Or see www.example.com/a.b?c=d.", "Thanks."]),
    ("en", ["Go to https://example.com/help?id=5.", "Click Start."]),
    ("en", ["The file is report.final.pdf.", "Open it with Version 9.0.1.", "Use Python 3.", "It is good."]),
    ("en", ["We open at 9 a.m. on weekdays.", "We close at 5 p.m.", "Come early."]),
    ("en", ["See e.g. the manual, i.e. the blue book.", "It helps."]),
    ("en", ["No. 5 is out of stock.", "Order 12345 was sent on Jan. 5.", "It arrives soon."]),
    ("en", ["1. Open the box.", "2. Take it out."]),
    ("en", ["Really?!", "It was made by Yahoo! in 1999.", "iPhone users too."]),
    ("de", ["Das ist z.B. gut.", "Am 3. Oktober ist zu.", "Herr Dr. Müller braucht ca. 5 Minuten.", "Bis dann!"]),
    ("fr", ["M. Dupont arrive.", "Vous êtes prêt ?", "Le prix est de 3,50 €.", "Oui !"]),
    ("es", ["¿Cómo está usted?", "¡Muy bien!", "El Sr. Pérez no está."]),
    ("ru", ["Здравствуйте!", "Как дела?", "Хорошо."]),
    ("hi", ["नमस्ते।", "आप कैसे हैं?", "ठीक है।"]),
    ("ar", ["مرحبا.", "كيف حالك؟", "بخير."]),
    ("ur", ["آپ کیسے ہیں؟", "میں ٹھیک ہوں۔"]),
    ("hy", ["Բարեւ։", "Ինչպե՞ս ես։"]),
    ("am", ["ሰላም።", "እንዴት ነህ?"]),
    ("ko", ["안녕하세요.", "무엇을 도와드릴까요?", "네."]),
]
NO_SPACES: list[list[str]] = [
    ["你好。", "请问您有什么问题？", "价格是3.5元。", "谢谢！"],
    ["“可以吗？”", "他问。"],
    ["こんにちは。", "「はい。」と言いました。", "ええ。"],
]


def drip(text: str, language: str = "") -> list[str]:
    """Return the sentences of a text that arrives character by character."""
    cutter = SentenceCutter(language)
    found = [sentence for character in text for sentence in cutter.feed(character)]
    return [sentence.text for sentence in found + cutter.flush()]


@pytest.mark.parametrize(("language", "sentences"), CASES)
def test_sentences_of_dripping_text(language: str, sentences: list[str]) -> None:
    assert drip(" ".join(sentences), language) == sentences


@pytest.mark.parametrize("sentences", NO_SPACES)
def test_scripts_without_spaces(sentences: list[str]) -> None:
    assert drip("".join(sentences)) == sentences


def test_a_sentence_is_there_with_the_first_character_of_the_next() -> None:
    cutter = SentenceCutter()
    assert cutter.feed("It costs 3") == []
    assert cutter.feed(".") == [], "3.50?"
    assert cutter.feed(" ") == []
    (sentence,) = cutter.feed("T")
    assert (sentence.text, sentence.end) == ("It costs 3.", 12)


def test_paragraphs_and_items_of_a_list_end_without_a_stop() -> None:
    text = "Opening hours\n\nMonday to Friday\n- eight to\nfive\n- closed on Sunday"
    assert drip(text) == ["Opening hours", "Monday to Friday", "- eight to five", "- closed on Sunday"]


def test_text_that_pauses_can_be_flushed() -> None:
    cutter = SentenceCutter()
    cutter.feed("Please hold")
    assert (cutter.waiting, cutter.at_stop) == (True, False)
    cutter.feed(" the line.")
    assert (cutter.waiting, cutter.at_stop) == (True, True)
    assert [sentence.text for sentence in cutter.flush()] == ["Please hold the line."]
    assert (cutter.waiting, cutter.at_stop) == (False, False)
    assert cutter.flush() == []
    assert [(sentence.text, sentence.end) for sentence in cutter.feed(" Thanks! A")] == [("Thanks!", 30)]


@pytest.mark.parametrize("text", ["Ask for Dr.", "It is on Jan.", "See e.g."])
def test_a_pause_behind_an_abbreviation_is_no_stop(text: str) -> None:
    cutter = SentenceCutter()
    cutter.feed(text)
    assert not cutter.at_stop


def test_a_sentence_that_never_ends_is_cut_between_clauses_or_words() -> None:
    clauses = drip("and so on, " * 80)
    assert all(len(clause) <= LONGEST for clause in clauses)
    assert all(clause.endswith(",") for clause in clauses)
    assert all(len(part) <= LONGEST for part in drip("x" * 1000))
    assert "".join(drip("word " * 300)).count("word") == 300


def test_a_cutter_that_begins_in_the_middle_counts_on() -> None:
    cutter = SentenceCutter(begin=100)
    assert [sentence.end for sentence in cutter.feed("Yes. No.") + cutter.flush()] == [105, 108]


TEXT = st.text(st.sampled_from("ab A.!?…。」\"' \n1-,"), max_size=120)


@given(TEXT, st.lists(st.integers(0, 120), max_size=6))
def test_it_does_not_matter_in_which_pieces_text_comes(text: str, cuts: list[int]) -> None:
    cutter, found, at = SentenceCutter(), [], 0
    for cut in [*sorted(cuts), len(text)]:
        found += cutter.feed(text[at:cut])
        at = max(at, cut)
    found += cutter.flush()
    assert [sentence.text for sentence in found] == drip(text)
    assert "".join(sentence.text for sentence in found).replace(" ", "") == "".join(text.split()), "nothing is lost"
    ends = [sentence.end for sentence in found]
    assert ends == sorted(ends)
    assert not text[ends[-1] if ends else 0 :].strip()
