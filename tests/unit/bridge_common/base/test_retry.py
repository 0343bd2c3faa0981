from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge_common.base.errors import AuthError, BridgeError, OutsideError
from bridge_common.base.outage_logger import OutageLogger
from bridge_common.base.retry import Backoff, repeat, retry
from tests.support.virtual_time import run_in_virtual_time

BACKOFF = Backoff(first_s=0.1, factor=2.0, most_s=4.0, budget_s=20.0)


def test_delays_grow_to_the_maximum() -> None:
    delays = BACKOFF.delays(lambda: 1.0)
    assert [delays.after_failure(0.0) for _ in range(8)] == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 4.0, 4.0]


def test_jitter_takes_at_most_half_of_a_delay() -> None:
    delays = BACKOFF.delays(lambda: 0.0)
    assert [delays.after_failure(0.0) for _ in range(3)] == [0.05, 0.1, 0.2]


def test_a_constant_backoff_does_not_grow() -> None:
    delays = Backoff.constant(0.2).delays(lambda: 1.0)
    assert [delays.after_failure(now) for now in (0.0, 10.0, 1e6)] == [0.2, 0.2, 0.2]


def test_the_budget_counts_from_the_first_failure() -> None:
    delays = BACKOFF.delays(lambda: 1.0)
    assert delays.after_failure(100.0) == 0.1
    assert delays.after_failure(119.0) == 0.2
    assert delays.after_failure(120.0) is None


def test_the_budget_counts_from_a_given_start() -> None:
    delays = BACKOFF.delays(lambda: 1.0, since=90.0)
    assert delays.after_failure(109.0) == 0.1
    assert delays.after_failure(109.9) is None


@given(st.integers(0, 2**32), st.floats(0, 5))
def test_any_series_of_failures_ends_within_the_budget(seed: int, each_takes_s: float) -> None:
    delays = BACKOFF.delays(random.Random(seed).random)
    now = 0.0
    for _ in range(1000):
        now += each_takes_s
        wait = delays.after_failure(now)
        if wait is None:
            break
        assert 0 < wait <= 4.0
        now += wait
    assert now <= BACKOFF.budget_s + 2 * each_takes_s


def test_a_refusal_with_a_time_does_not_count_as_a_failed_attempt() -> None:
    delays = BACKOFF.delays(lambda: 0.5)
    assert delays.after_refusal(7.0, 100.0) == 7.05
    assert delays.after_failure(107.05) == pytest.approx(0.075)
    assert delays.after_refusal(15.0, 108.0) is None, "exceeds the budget"


class Attempts:
    """Fails with each of `errors` in turn, then succeeds."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.at: list[float] = []
        self.failures: list[tuple[BridgeError, float]] = []

    async def __call__(self) -> str:
        self.at.append(asyncio.get_running_loop().time())
        if self.errors:
            raise self.errors.pop(0)
        return "done"

    def failed(self, error: BridgeError, delay_s: float) -> None:
        self.failures.append((error, delay_s))


def away(retry_after_s: float = 0.0) -> OutsideError:
    return OutsideError("Redis is unavailable", retry=True, retry_after_s=retry_after_s)


def test_retry_returns_the_first_result() -> None:
    attempts = Attempts(away(), away())
    assert run_in_virtual_time(retry(attempts, BACKOFF, OutsideError, on_failure=attempts.failed)) == "done"
    delays = [delay_s for _, delay_s in attempts.failures]
    assert 0.05 <= delays[0] <= 0.1 <= delays[1] <= 0.2
    assert attempts.at == pytest.approx([0.0, delays[0], sum(delays)])


def test_retry_raises_the_last_error_when_the_budget_is_spent() -> None:
    errors = [away() for _ in range(100)]
    attempts = Attempts(*errors)
    with pytest.raises(OutsideError) as caught:
        run_in_virtual_time(retry(attempts, Backoff.constant(1.0, 5.0), OutsideError, on_failure=attempts.failed))
    assert caught.value is errors[len(attempts.at) - 1]
    assert 4.0 <= attempts.at[-1] < 5.0
    assert len(attempts.failures) == len(attempts.at) - 1, "the last error is raised instead"


def test_attempts_count_against_the_budget() -> None:
    began = 0

    async def attempt() -> None:
        nonlocal began
        began += 1
        await asyncio.sleep(4.0)
        raise away()

    with pytest.raises(OutsideError):
        run_in_virtual_time(retry(attempt, Backoff.constant(1.0, 8.0), OutsideError, on_failure=lambda *_: None))
    assert began == 2


@pytest.mark.parametrize("refused_too", [False, True])
def test_refusals_are_retried_on_request_only(*, refused_too: bool) -> None:
    refusal = OutsideError("NOPERM", retry=False)
    attempts = Attempts(refusal)
    running = retry(attempts, BACKOFF, OutsideError, on_failure=attempts.failed, refused_too=refused_too)
    if refused_too:
        assert run_in_virtual_time(running) == "done"
    else:
        with pytest.raises(OutsideError, match="NOPERM"):
            run_in_virtual_time(running)
        assert attempts.failures == []


def test_retry_after_is_respected() -> None:
    attempts = Attempts(away(7.0), away())
    run_in_virtual_time(retry(attempts, BACKOFF, OutsideError, on_failure=attempts.failed))
    assert 7.0 <= attempts.failures[0][1] <= 7.1
    assert attempts.failures[1][1] <= 0.1, "delays do not grow by it"


def test_only_the_given_errors_are_retried() -> None:
    attempts = Attempts(AuthError("no"), ValueError("a fault of ours"))
    with pytest.raises(ValueError, match="ours"):
        run_in_virtual_time(retry(attempts, BACKOFF, BridgeError, on_failure=attempts.failed))
    assert [str(error) for error, _ in attempts.failures] == ["no"]


def repeated(step: Callable[[], object], outage: OutageLogger, within_s: float) -> None:
    """Run `repeat` on `step` for `within_s`; `step` returns the pause or raises."""

    async def one() -> float:
        pause_s = step()
        assert isinstance(pause_s, float)
        return pause_s

    async def run() -> None:
        async with asyncio.timeout(within_s):
            await repeat(one, BACKOFF, outage, part="a")

    with pytest.raises(TimeoutError):
        run_in_virtual_time(run())


def test_repeat_pauses_as_its_step_says() -> None:
    at: list[float] = []

    def step() -> float:
        at.append(asyncio.get_running_loop().time())
        return 2.0

    repeated(step, OutageLogger(logging.getLogger("x"), "reading"), 5.0)
    assert at == [0.0, 2.0, 4.0]


def test_repeat_survives_outages_and_logs_each_in_two_lines(caplog: pytest.LogCaptureFixture) -> None:
    at: list[float] = []

    def step() -> float:
        at.append(asyncio.get_running_loop().time())
        if at[-1] < 30.0:
            raise away()
        return 100.0

    repeated(step, OutageLogger(logging.getLogger("x"), "reading"), 50.0)
    pauses = [after - before for before, after in pairwise(at)]
    assert pauses[0] <= 0.1
    assert 2.0 <= max(pauses) <= 4.001, "also beyond the budget; differences of times are rounded"
    assert caplog.messages == ["reading fails", "reading works again"]
    assert vars(caplog.records[0])["bridge_fields"] == {"part": "a", "error": "Redis is unavailable"}


def test_the_pauses_of_repeat_start_again_after_an_outage() -> None:
    at: list[float] = []
    results: list[object] = [*(away() for _ in range(8)), 0.0, away(), 1.0]

    def step() -> object:
        at.append(asyncio.get_running_loop().time())
        result = results.pop(0) if results else 100.0
        if isinstance(result, Exception):
            raise result
        return result

    repeated(step, OutageLogger(logging.getLogger("x"), "reading"), 60.0)
    assert at[10] - at[9] <= 0.1


def test_repeat_passes_other_errors_on() -> None:
    async def step() -> float:
        raise ValueError("a fault of ours")

    with pytest.raises(ValueError, match="ours"):
        run_in_virtual_time(repeat(step, BACKOFF, OutageLogger(logging.getLogger("x"), "reading")))
