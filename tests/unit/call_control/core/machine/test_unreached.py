"""Every row of the table of codes with which ACS reports a failed invitation or transfer."""

from __future__ import annotations

import pytest

from call_control.core.machine.unreached import reason_of, refusal


@pytest.mark.parametrize(
    ("code", "sub_code", "reason"),
    [
        (486, 560486, "busy"),
        (400, 8539, "busy"),
        (400, 8540, "busy"),
        (600, 560600, "busy"),
        (603, 560603, "declined"),
        (603, 0, "declined"),
        (200, 5002, "declined"),
        (200, 5003, "declined"),
        (400, 8538, "declined"),
        (480, 560480, "no_answer"),
        (408, 560408, "no_answer"),
        (408, 500001, "no_answer"),
        (408, 4506, "no_answer"),
        (487, 10004, "no_answer"),
        (400, 8541, "no_answer"),
        (487, 5234, "canceled"),
        (404, 560404, "wrong_number"),
        (404, 511404, "wrong_number"),
        (500, 511404, "wrong_number"),
        (484, 560484, "wrong_number"),
        (403, 560403, "wrong_number"),
        (403, 510403, "refused 403/510403"),
        (400, 8523, "refused 400/8523"),
        (403, 511532, "refused 403/511532"),
        (500, 560500, "unreachable"),
        (503, 560503, "unreachable"),
        (410, 531004, "unreachable"),
        (400, 8544, "unreachable"),
        (480, 10037, "unreachable"),
        (480, 10076, "unreachable"),
        (480, 10077, "unreachable"),
        (480, 10078, "unreachable"),
        (480, 10134, "unreachable"),
        (480, 10199, "unreachable"),
        (408, 10057, "unreachable"),
        (403, 10124, "refused 403/10124"),
        (403, 10105, "refused 403/10105"),
        (412, 10073, "refused 412/10073"),
        (403, 10151, "refused 403/10151"),
        (0, 0, "unknown"),
        (480, 0, "unknown"),
        (418, 560418, "unknown"),
        (410, 123, "unknown"),
    ],
)
def test_reasons(code: int, sub_code: int, reason: str) -> None:
    assert reason_of(code, sub_code) == reason


def test_the_code_of_a_refused_request_is_named() -> None:
    assert refusal("8607") == "refused 8607"
