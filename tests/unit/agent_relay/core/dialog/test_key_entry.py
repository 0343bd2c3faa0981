"""When the keys of the caller are complete, with time as an argument."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agent_relay.core.dialog.key_entry import KeyEntry
from agent_relay.core.protocol.keypad_profile import KeypadProfile

PROFILE = KeypadProfile(pause_s=2, max_digits=4)
KEYS = "0123456789*#ABCD"


def entries(profile: KeypadProfile, presses: list[tuple[float, str]], until: float) -> list[str]:
    """Press keys, each after a pause, and return the complete entries. Time passes in the steps of a relay."""
    entry, found, now = KeyEntry(profile), list[str](), 0.0

    def wait(end: float) -> None:
        nonlocal now
        while entry.next_at is not None and entry.next_at <= end:
            now = entry.next_at
            assert entry.paused(now)
            found.append(entry.take())
        now = end

    for pause_s, key in presses:
        wait(now + pause_s)
        if entry.press(key, profile.max_digits, now):
            found.append(entry.take())
    wait(now + until)
    return found


def test_the_end_key_completes_an_entry_at_once() -> None:
    assert entries(PROFILE, [(1, "1"), (1, "2"), (1, "#")], 0) == ["12#"]


def test_a_pause_completes_an_entry() -> None:
    assert entries(PROFILE, [(1, "1"), (1.9, "2"), (2.1, "3")], 1.9) == ["12"]
    assert entries(PROFILE, [(1, "1"), (1.9, "2"), (2.1, "3")], 2.0) == ["12", "3"]


def test_the_maximal_number_of_keys_completes_an_entry_and_an_end_key_after_it_belongs_to_it() -> None:
    presses = [(0.1, key) for key in "1234#5678"]
    assert entries(PROFILE, presses, 0) == ["1234", "5678"]
    assert entries(PROFILE, [*presses[:4], (2.5, "#")], 0) == ["1234", "#"], "much later it is an entry of its own"
    assert entries(PROFILE, [(0.1, key) for key in "123##"], 0) == ["123#", "#"]


def test_the_profile_chooses_the_end_key_or_none() -> None:
    star = KeypadProfile(end_key="*")
    assert entries(star, [(0.1, key) for key in "1#2*3"], 0) == ["1#2*"]
    assert entries(KeypadProfile(end_key="none"), [(0.1, key) for key in "1#2*3"], 2) == ["1#2*3"]


def test_a_correction_drops_the_keys() -> None:
    entry = KeyEntry(PROFILE)
    entry.press("1", 4, 1.0)
    entry.restart(2.0)
    assert (entry.keys, entry.next_at) == ("", 4.0)
    entry.press("2", 4, 3.0)
    assert entry.began_at == 3.0
    assert entry.take() == "2"


PRESSES = st.lists(st.tuples(st.floats(0, 4), st.sampled_from(KEYS)), max_size=30)


@given(PRESSES)
def test_no_key_is_lost_or_repeated(presses: list[tuple[float, str]]) -> None:
    profile = KeypadProfile(max_digits=64)
    found = entries(profile, presses, profile.pause_s)
    assert "".join(found) == "".join(key for _, key in presses)
    assert all("#" not in entry[:-1] for entry in found)


@given(PRESSES, st.integers(1, 5))
def test_an_entry_has_at_most_its_maximal_number_of_keys(presses: list[tuple[float, str]], most: int) -> None:
    profile = KeypadProfile(max_digits=most)
    found = entries(profile, presses, profile.pause_s)
    assert all(1 <= len(entry) <= most for entry in found)
    digits = [key for _, key in presses if key != "#"]
    assert "".join(found).replace("#", "") == "".join(digits), "only end keys after a full entry are dropped"
