from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from call_control.core.policy.plain_yaml import DEEPEST, MOST_NODES
from call_control.core.policy.policy_text import (
    MAX_BYTES,
    MOST_MISTAKES,
    MOST_VALUES,
    PolicyError,
    decode_policy,
    policy_of_text,
)
from call_control.core.policy.routing_policy import encode_policy
from call_control.http.error_responses import error_reply
from tests.support.fuzzing import YAML_PIECES, mutations

POLICY = b"""
human_agents: {phone: +18005550000}
time_zone: Europe/Berlin
rules:
  - name: night
    hours: 20:00-08:00
    redirect: human_agents
  - name: main-line       # a quarter of the callers
    called: +18005551212
    percent: 25
    agent: front-desk
  - name: rest
    redirect: human_agents
"""


def test_numbers_and_hours_need_no_quotes() -> None:
    policy = policy_of_text(POLICY)
    assert policy.human_agents is not None
    assert policy.human_agents.raw_id == "4:+18005550000"
    assert [str(pattern) for pattern in policy.rules[1].called] == ["+18005551212"]
    assert [str(span) for span in policy.rules[0].hours] == ["20:00-08:00"]
    assert policy.rules[1].percent == 25


def test_json_and_yaml_are_equivalent() -> None:
    policy = policy_of_text(POLICY)
    text = json.dumps(encode_policy(policy)).encode()
    assert policy_of_text(text, as_json=True) == policy_of_text(text) == policy


def test_the_example_of_the_documentation_is_good() -> None:
    documentation = Path(__file__).parents[5] / "docs" / "routing.md"
    example = documentation.read_text(encoding="utf-8").partition("```yaml\n")[2].partition("```")[0]
    policy = policy_of_text(example.encode())
    assert [rule.name for rule in policy.rules] == ["refused", "night", "closed", "gold", "main-line", "the-rest"]


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        (b"rules: [", "line 1, column 9: "),
        (b"a: 1\nb: c: d", "line 2, column 5: "),
        (b"rules: []\nrules: []", "line 2, column 1: field 'rules' occurs twice"),
        (b"\xff", "the text is not valid UTF-8"),
        (b"", "a policy must be a mapping"),
        (b"[" * 2_000, f"line 1, column 21: values are nested deeper than {DEEPEST} levels"),
        (b"[" + b"a," * 30_000, f"line 1, column 40000: the text has more than {MOST_NODES} values"),
        (b"!!python/object:os.system x", "line 1, column 1: tags (!name) are not allowed"),
        (b"rules: !!set {a, b}", "line 1, column 8: tags (!name) are not allowed"),
        (b"rules: !!seq {}", "line 1, column 8: tags (!name) are not allowed"),
        (b"rules: !!omap [a: b]", "line 1, column 8: tags (!name) are not allowed"),
        (b"since: !!timestamp x", "line 1, column 8: tags (!name) are not allowed"),
        (b"a: !!int ''", "line 1, column 4: tags (!name) are not allowed"),
        (b"a: !!bool maybe", "line 1, column 4: the value does not match its tag"),
        (b"? [a]\n: b", "line 1, column 3: field names must be strings"),
        (b"true: b", "line 1, column 1: field names must be strings"),
        (b"a: &x b\nc: *x", "line 2, column 4: aliases (*name) are not allowed"),
        (b"<<: {rules: []}", "line 1, column 1: merge keys (<<) are not allowed"),
        (b'a: "\\UFFFFFFFF"', "a value or an escape sequence is not valid"),
        (b"rules: [{name: how are you?}]", "line 1, column 27: `?` has a meaning of its own between brackets"),
        (
            b"rules:\n- name: a: b",
            "line 2, column 10: a colon followed by a space begins a value; if it is part of a string",
        ),
        (b"x" * (MAX_BYTES + 1), "the text has more than"),
    ],
)
def test_invalid_yaml(text: bytes, mistake: str) -> None:
    with pytest.raises(PolicyError) as caught:
        policy_of_text(text)
    [found] = caught.value.mistakes
    assert found.startswith(mistake)


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        (b'{"rules": [}', "line 1, column 12"),
        (b'{"rules": [], "rules": []}', "field 'rules' occurs twice"),
        (b"\xff", "the text is not valid JSON in UTF-8"),
        (b"[" * 60_000, "the text is not valid JSON"),
        (b"rules: []", "line 1, column 1"),
    ],
)
def test_invalid_json(text: bytes, mistake: str) -> None:
    with pytest.raises(PolicyError) as caught:
        policy_of_text(text, as_json=True)
    [found] = caught.value.mistakes
    assert found.startswith(mistake)


def test_the_values_of_all_rules_together_are_bounded() -> None:
    rule = {"called": ",".join(["+1*"] * 900), "agent": "a"}
    rules = [rule | {"name": f"r{number}"} for number in range(MOST_VALUES // 900 + 1)]
    with pytest.raises(
        PolicyError, match=f"at most {MOST_VALUES} values of called, caller, header, days, hours, holidays"
    ) as caught:
        decode_policy({"rules": [*rules, {"name": "rest", "agent": "a"}]})
    assert len(caught.value.mistakes) == 1
    decode_policy({"rules": [*rules[1:], {"name": "rest", "agent": "a"}]})


def test_a_junk_policy_gets_a_short_reply() -> None:
    junk = {"rules": [{"name": "a", "agent": "a"}], **{f"field{number}": 1 for number in range(3000)}}
    with pytest.raises(PolicyError) as caught:
        decode_policy(junk)
    assert len(caught.value.mistakes) == MOST_MISTAKES + 1
    assert caught.value.mistakes[-1] == f"and {3000 - MOST_MISTAKES} more errors"


@pytest.mark.parametrize("name", ["\ud800", "x\nlevel=ERROR forged", "n" * 10_000])
def test_names_in_mistakes_are_short_and_printable(name: str) -> None:
    """Regression: a lone surrogate in the response caused a 500."""
    with pytest.raises(PolicyError) as caught:
        decode_policy({"rules": [{"name": name, name: 1}]})
    assert all(len(mistake) < 300 and mistake.isprintable() for mistake in caught.value.mistakes)
    assert error_reply(422, caught.value).status_code == 422


@pytest.mark.parametrize("as_json", [False, True])
def test_any_mutation_is_a_policy_or_a_policy_error(as_json: bool) -> None:
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


def _read(text: bytes, *, as_json: bool) -> None:
    """Decode the text, and check that the policy or the errors can be encoded."""
    policy, refusal = None, None
    try:
        policy = policy_of_text(text, as_json=as_json)
    except PolicyError as error:
        refusal = error
    if policy is not None:
        assert decode_policy(json.loads(json.dumps(encode_policy(policy)))) == policy
    if refusal is not None:
        assert refusal.mistakes
        assert all(refusal.mistakes)
        assert error_reply(422, refusal).status_code == 422


@given(
    st.binary(max_size=300)
    | st.lists(st.sampled_from(YAML_PIECES), max_size=40).map(lambda pieces: "".join(pieces).encode())
)
def test_any_bytes_are_a_policy_or_have_mistakes(text: bytes) -> None:
    for as_json in (False, True):
        _read(text, as_json=as_json)


_PLAIN = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8) | st.sampled_from(YAML_PIECES),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(YAML_PIECES) | st.text(max_size=3), inner)
    ),
    max_leaves=12,
)


@given(_PLAIN, st.dictionaries(st.sampled_from(YAML_PIECES[:10]), _PLAIN))
def test_any_values_are_a_policy_or_have_mistakes(value: object, rule: dict[str, object]) -> None:
    rules = {"rules": [rule, {"name": "rest", "agent": "a"}]}
    for content in (value, {"rules": value}, rules, {"people": value}, {"human_agents": value}):
        _read(json.dumps(content).encode(), as_json=True)


def _mistakes(*rules: dict[str, object]) -> list[str]:
    with pytest.raises(PolicyError) as caught:
        decode_policy({"human_agents": {"phone": "+18005550000"}, "rules": list(rules)})
    return list(caught.value.mistakes)


def test_a_limited_rule_needs_a_rule_behind_it() -> None:
    limited: dict[str, object] = {"name": "sales", "agent": "sales", "max_calls": 5, "wait": 15}
    rest: dict[str, object] = {"name": "rest", "redirect": "human_agents"}
    policy = decode_policy({"human_agents": {"phone": "+18005550000"}, "rules": [limited, rest]})
    assert (policy.rules[0].max_calls, policy.rules[0].wait) == (5, 15)
    assert encode_policy(policy)["rules"][0] == limited
    [mistake] = _mistakes(limited)
    assert "rules[0] (sales): the last rule must take every remaining call" in mistake
    assert "max_calls" in mistake
    waiting = decode_policy({"rules": [{"name": "all", "agent": "a", "wait": 20}]})
    assert waiting.rules[0].wait == 20, "after it, the call is diverted like any call without capacity"


def test_only_calls_to_agents_can_be_limited_or_wait() -> None:
    last: dict[str, object] = {"name": "rest", "reject": "busy", "wait": 5}
    mistakes = _mistakes({"name": "humans", "redirect": "human_agents", "max_calls": 3, "called": "+1*"}, last)
    fault = "only calls to an agent can be limited or wait; remove it"
    assert mistakes == [f"rules[0] (humans).max_calls: {fault}", f"rules[1] (rest).wait: {fault}"]


@pytest.mark.parametrize(("field", "value"), [("max_calls", 0), ("max_calls", True), ("max_calls", 2.5), ("wait", 0)])
def test_limits_of_rules_must_be_in_range(field: str, value: object) -> None:
    mistakes = _mistakes({"name": "a", "agent": "a", field: value}, {"name": "rest", "reject": "busy"})
    assert mistakes[0].startswith(f"rules[0] (a).{field}: ")


def test_a_wait_must_fit_into_the_ring_time() -> None:
    [mistake] = _mistakes({"name": "a", "agent": "a", "wait": 21})
    assert mistake == "rules[0] (a).wait: must be between 1 and 20"


def test_an_unknown_field_is_the_only_error_of_its_rule() -> None:
    """Regression: without its misspelled condition, the rule seemed to take every call."""
    [mistake] = _mistakes(
        {"name": "gold", "agent": "a", "headers": {"X-Level": "gold"}}, {"name": "rest", "reject": "busy"}
    )
    assert mistake.startswith("rules[0] (gold).headers: is unknown; known fields are name, called, caller, header, ")


@pytest.mark.parametrize(
    "text", [b"agent: no", b"agent: a, header: {X-Gold: no}", b"agent: a, called: [no]", b"reject: no"]
)
def test_words_that_yaml_reads_as_booleans_are_explained(text: bytes) -> None:
    with pytest.raises(PolicyError, match="YAML reads no, yes, on and off as true or false: put the word in quotes"):
        policy_of_text(b"rules: [{name: a, " + text + b"}, {name: rest, agent: b}]")
