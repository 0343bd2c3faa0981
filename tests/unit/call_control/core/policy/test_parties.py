from __future__ import annotations

import pytest

from bridge_common.base.errors import InputError
from call_control.core.policy.parties import decode_pattern, is_anonymous, raw_id_of

CALLER = "4:+14255550100"


@pytest.mark.parametrize(
    ("pattern", "party"),
    [
        ("+14255550100", CALLER),
        ("4:+14255550100", CALLER),
        ("+1425*", CALLER),
        ("+14255550100*", CALLER),
        ("+*", CALLER),
        ("*", CALLER),
        ("+1425555????", CALLER),
        ("+1???555*", CALLER),
        ("8:acs:*", "8:acs:res_user"),
        ("8:orgid:AAAA", "8:orgid:aaaa"),
        ("anonymous", "4:anonymous"),
        ("anonymous", ""),
        ("*", "4:anonymous"),
    ],
)
def test_it_fits(pattern: str, party: str) -> None:
    assert decode_pattern(f" {pattern} ").matches(party)


@pytest.mark.parametrize(
    ("pattern", "party"),
    [
        ("+1425555010", CALLER),
        ("+142555501000", CALLER),
        ("+1425555???", CALLER),
        ("+1426*", CALLER),
        ("+14255550100?*", CALLER),
        ("+*", "4:anonymous"),
        ("anonymous", CALLER),
        ("anonymous", "8:acs:anonymous"),
        ("8:acs:*", CALLER),
    ],
)
def test_it_does_not_fit(pattern: str, party: str) -> None:
    assert not decode_pattern(pattern).matches(party)


@pytest.mark.parametrize(
    "text",
    [
        *("", "1425*", "+1 425", "+1*25", "**", "sip:a@b", "+1(425)", "nobody", "+" + "1" * 300),
        *("+1_425_555", "+1-425-555", "+1.425.555*", "+1+2", "+one", "4:+1_425", "4:1-2"),
    ],
)
def test_an_invalid_pattern_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(InputError, match="is not a pattern") as caught:
        decode_pattern(text)
    assert not text or text not in caught.value.message.split()


def test_who_is_anonymous() -> None:
    assert [raw for raw in ("", "4:anonymous", "4:", "4:+1425", "8:acs:x") if is_anonymous(raw)] == [
        "",
        "4:anonymous",
        "4:",
    ]


@pytest.mark.parametrize(
    ("text", "raw_id"),
    [
        ("+18005551212", "4:+18005551212"),
        (" +18005551212 ", "4:+18005551212"),
        ("4:+18005551212", "4:+18005551212"),
        ("8:acs:11-22_33-44", "8:acs:11-22_33-44"),
        ("8:orgid:11-22", "8:orgid:11-22"),
        ("28:orgid:11-22", "28:orgid:11-22"),
    ],
)
def test_parties(text: str, raw_id: str) -> None:
    assert raw_id_of(text) == raw_id


@pytest.mark.parametrize(
    "text", ["", "18005551212", "4:1800", "+0123456", "sip:a@b", "8:acs:", "+1800555x", "8:acs:a b"]
)
def test_invalid_parties(text: str) -> None:
    with pytest.raises(InputError, match="neither"):
        raw_id_of(text)


@pytest.mark.parametrize("control", ["\x00", "\x1c", "\x1f", "\x0b", "\x85", "\u2028"])
@pytest.mark.parametrize("party", ["+14255550100", "8:acs:res_user"])
def test_control_characters_are_refused(party: str, control: str) -> None:
    for text in (f"{control}{party}", f"{party}{control}", f"{party[:5]}{control}{party[5:]}"):
        with pytest.raises(InputError):
            raw_id_of(text)
        with pytest.raises(InputError):
            decode_pattern(text)
    assert raw_id_of(f"\t{party}\r\n").endswith(party)
