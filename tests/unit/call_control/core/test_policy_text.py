from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pytest

from call_control.core.policy_text import MAX_BYTES, policy_of_text
from call_control.core.routing_policy import PolicyError, encode_policy
from fuzzing import mutations

POLICY = b"""
people: {phone: +18005550000}
time_zone: Europe/Berlin
rules:
  - name: night
    hours: 20:00-08:00
    redirect: people
  - name: main-line       # a quarter of the callers
    called: +18005551212
    percent: 25
    agent: front-desk
  - name: rest
    redirect: people
"""


def test_numbers_and_hours_need_no_quotes() -> None:
    policy = policy_of_text(POLICY)
    assert policy.people is not None
    assert policy.people.raw_id == "4:+18005550000"
    assert [str(pattern) for pattern in policy.rules[1].called] == ["+18005551212"]
    assert [str(span) for span in policy.rules[0].hours] == ["20:00-08:00"]
    assert policy.rules[1].percent == 25


def test_json_and_yaml_say_the_same() -> None:
    policy = policy_of_text(POLICY)
    text = json.dumps(encode_policy(policy)).encode()
    assert policy_of_text(text, as_json=True) == policy_of_text(text) == policy


def test_the_example_of_the_documentation_is_good() -> None:
    documentation = Path(__file__).parents[4] / "docs" / "routing.md"
    example = documentation.read_text(encoding="utf-8").partition("```yaml\n")[2].partition("```")[0]
    policy = policy_of_text(example.encode())
    assert [rule.name for rule in policy.rules] == ["refused", "night", "main-line", "the-rest"]


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        (b"rules: [", "line 1, column 9: "),
        (b"a: 1\nb: c: d", "line 2, column 5: "),
        (b"rules: []\nrules: []", "line 2, column 1: a field is given twice"),
        (b"\xff", "the text is not in UTF-8"),
        (b"", "a policy is a mapping"),
        (b"[" * 2_000, "the text is no YAML"),
        (b"!!python/object:os.system x", "line 1, column 1: could not determine a constructor"),
        (b"x" * (MAX_BYTES + 1), "the text is longer"),
    ],
)
def test_what_is_no_yaml(text: bytes, mistake: str) -> None:
    with pytest.raises(PolicyError) as caught:
        policy_of_text(text)
    [told] = caught.value.mistakes
    assert told.startswith(mistake)


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        (b'{"rules": [}', "line 1, column 12"),
        (b'{"rules": [], "rules": []}', "a field is given twice"),
        (b"\xff", "the text is no JSON in UTF-8"),
        (b"[" * 60_000, "the text is no JSON"),
        (b"rules: []", "line 1, column 1"),
    ],
)
def test_what_is_no_json(text: bytes, mistake: str) -> None:
    with pytest.raises(PolicyError) as caught:
        policy_of_text(text, as_json=True)
    [told] = caught.value.mistakes
    assert told.startswith(mistake)


def test_an_anchor_that_names_itself_many_times_over_is_refused_quickly() -> None:
    lines = ["a: &a [x]"]
    for before, name in pairwise("abcdefghi"):
        lines.append(f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]")
    with pytest.raises(PolicyError):
        policy_of_text("\n".join([*lines, "rules: *i"]).encode())


@pytest.mark.parametrize("as_json", [False, True])
def test_nothing_but_policies_and_policy_errors_comes_out(as_json: bool) -> None:
    text = json.dumps(encode_policy(policy_of_text(POLICY))) if as_json else POLICY.decode()
    read = refused = 0
    for changed in mutations([text], 1500 if as_json else 300):
        try:
            policy_of_text(changed.encode(errors="surrogatepass"), as_json=as_json)
            read += 1
        except PolicyError:
            refused += 1
    assert read
    assert refused
