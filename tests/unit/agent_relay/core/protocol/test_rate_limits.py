from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_relay.core.protocol.rate_limits import is_rate_limit, retry_hint_s

OPENAI = (
    "Rate limit reached for gpt-realtime in organization org-1 on tokens per min (TPM): Limit 40000, Used 38000, "
    "Requested 4000. Please try again in {}. Visit the page on rate limits to learn more."
)
AZURE = (
    "Requests to the Realtime operation under Azure OpenAI API version 2024-10-01-preview exceeded the rate limit "
    "of your current OpenAI S0 pricing tier. Please retry after {}. Please contact support to increase the limit."
)


@pytest.mark.parametrize(
    ("message", "seconds"),
    [
        (OPENAI.format("1.5s"), 1.5),
        (OPENAI.format("3s"), 3.0),
        (OPENAI.format("250ms"), 0.25),
        (OPENAI.format("1m12.5s"), 72.5),
        (OPENAI.format("6h0m0s"), 21600.0),
        (OPENAI.format("50.597142857s"), 50.597142857),
        (AZURE.format("20 seconds"), 20.0),
        (AZURE.format("1 second"), 1.0),
        (AZURE.format("2 minutes"), 120.0),
        (AZURE.format("1 minute and 5 seconds"), 65.0),
        ("try again in 1.5s", 1.5),
        ("Please try again in 20 s", 20.0),
        ("Too many requests; try again in 250 milliseconds", 0.25),
        ("PLEASE RETRY IN 4S", 4.0),
        ("Please try again after 7.", 7.0),
        ("Please retry after 7", 7.0),
        ("rate limited, retry_after: 1.5", 1.5),
        ("rate limited (retry_after=2)", 2.0),
        ('{"error":{"retry_after": "12"}}', 12.0),
        ("429 Retry-After: 30", 30.0),
        ("429 retry-after-ms: 350", 0.35),
        ("retry_after_ms=1200 request=7", 1.2),
        ("retry_after=2 request_id=abc", 2.0),
        ("retry_after: 900ms", 0.9),
        ("Please try again in a moment, or retry after 3 seconds", 3.0),
    ],
)
def test_the_wait_is_read_from_the_message(message: str, seconds: float) -> None:
    assert retry_hint_s(message) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "message",
    [
        "",
        "Failed to create message",
        "try again in a moment",
        "Please try again later.",
        "Please retry in 3 attempts",
        "Please try again in 20somethings",
        "It was tried again in 2024 seconds",
        "retry_after: soon",
        "Please try again in",
        "Audio content of 1500ms is already shorter than 2000ms",
    ],
)
def test_a_message_without_a_wait_has_none(message: str) -> None:
    assert retry_hint_s(message) is None


@given(st.text(max_size=80), st.text(max_size=80))
def test_any_text_is_accepted(before: str, after: str) -> None:
    hint = retry_hint_s(f"{before} try again in {after}")
    assert hint is None or hint >= 0


@pytest.mark.parametrize(
    "code",
    [
        "rate_limit_exceeded",
        "rate_limit_error",
        "inference_rate_limit_exceeded",
        "RateLimitReached",
        "too_many_requests",
        "TooManyRequests",
        "429",
    ],
)
def test_codes_of_rate_limits(code: str) -> None:
    assert is_rate_limit(code)


@pytest.mark.parametrize(
    "code", ["", "insufficient_quota", "server_error", "invalid_request_error", "max_output_tokens"]
)
def test_other_errors_are_not_rate_limits(code: str) -> None:
    assert not is_rate_limit(code)
