from __future__ import annotations

from call_control.core.wrong_keys import IN_TOTAL, PER_SOURCE, WINDOW_S, Verdict, WrongKeys


def test_a_source_is_limited_and_gets_its_next_answer_in_time() -> None:
    wrong = WrongKeys()
    assert [wrong.count("10.0.0.1", 5.0) for _ in range(PER_SOURCE)] == [Verdict.ANSWERED] * PER_SOURCE
    assert wrong.count("10.0.0.1", 5.0) is Verdict.LIMITED
    assert wrong.count("10.0.0.1", 5.0) is Verdict.STILL_LIMITED
    assert wrong.count("10.0.0.2", 5.0) is Verdict.ANSWERED, "another one is not"
    later = 5.0 + WINDOW_S / PER_SOURCE
    assert wrong.count("10.0.0.1", later - 0.1) is Verdict.LIMITED
    assert wrong.count("10.0.0.1", later + 0.1) is Verdict.ANSWERED
    assert wrong.count("10.0.0.1", later + 0.1) is Verdict.LIMITED


def test_all_sources_together_are_limited() -> None:
    wrong = WrongKeys()
    verdicts = [wrong.count(f"10.0.{n // 250}.{n % 250}", 5.0) for n in range(IN_TOTAL + 5)]
    assert verdicts.count(Verdict.ANSWERED) == IN_TOTAL
    assert verdicts[IN_TOTAL:] == [Verdict.LIMITED, *[Verdict.STILL_LIMITED] * 4]


def test_a_thousand_sources_are_tracked() -> None:
    """Memory is limited: an evicted source starts with a new budget."""
    wrong, one = WrongKeys(), "10.0.0.1"
    for _ in range(PER_SOURCE):
        wrong.count(one, 5.0)
    for n in range(999):
        wrong.count(f"early-{n}", 5.0)
    refilled_s = 1.5 * WINDOW_S / IN_TOTAL
    assert wrong.count(one, 5.0 + refilled_s) is not Verdict.ANSWERED, "still tracked"
    for n in range(1000):
        wrong.count(f"late-{n}", 5.0 + refilled_s)
    assert wrong.count(one, 5.0 + 2 * refilled_s) is Verdict.ANSWERED, "evicted"
