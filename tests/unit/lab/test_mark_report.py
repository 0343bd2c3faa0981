from __future__ import annotations

from lab.mark_report import Direction, percentile

WINDOW = (0.0, 10.0)
SENT = [(seq, seq * 0.02) for seq in range(5)]


def _heard(*seqs: int, call: int = 1) -> list[tuple[int, int, float]]:
    return [(call, seq, seq * 0.02 + 0.004) for seq in seqs]


def _direction(heard: list[tuple[int, int, float]]) -> Direction:
    direction = Direction()
    direction.add(1, SENT, heard, WINDOW)
    return direction


def test_all_there_is_clean_and_its_delay_is_known() -> None:
    direction = _direction(_heard(0, 1, 2, 3, 4))
    assert direction.clean
    assert direction.as_row()["p50_ms"] == 4.0


def test_what_is_missing_is_lost() -> None:
    direction = _direction(_heard(0, 1, 3, 4))
    assert (direction.lost, direction.clean) == (1, False)


def test_what_comes_twice_is_repeated() -> None:
    assert _direction(_heard(0, 1, 2, 2, 3, 4)).repeated == 1


def test_what_comes_late_is_disordered() -> None:
    assert _direction(_heard(0, 2, 1, 3, 4)).disordered == 1


def test_a_mark_of_another_call_is_cross_talk() -> None:
    assert _direction([*_heard(0, 1, 2, 3, 4), *_heard(2, call=7)]).foreign == 1


def test_only_what_was_sent_within_the_window_counts() -> None:
    direction = Direction()
    direction.add(1, SENT, _heard(1, 2), (0.02, 0.05))
    assert (direction.sent, direction.clean) == (2, True)


def test_no_frame_at_all_is_not_clean() -> None:
    assert not Direction().clean


def test_a_percentile_is_a_value_that_was_there() -> None:
    assert [percentile(range(100), share) for share in (0.0, 0.5, 0.99, 1.0)] == [0, 50, 99, 99]
    assert percentile([], 0.5) == 0.0
