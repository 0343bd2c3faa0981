"""Errors of `lab demo my.yaml` for an invalid scenario."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.scenario_file import ScenarioError, load_scenario


def mistakes_of(text: str, folder: Path) -> str:
    path = folder / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ScenarioError) as caught:
        load_scenario(path)
    assert "mine.yaml is invalid" in str(caught.value)
    assert "pydantic" not in str(caught.value)
    return str(caught.value)


CASES = {
    "no YAML": ("name: x\ncaller: [", "line 2, column 10"),
    "an open quote": (
        'name: x\ncaller:\n  steps:\n    - say: "Hello\n    - hang_up: true\n',
        "line 4, column 12: the quote that opens here is not closed: found unexpected end of stream (line 5)",
    ),
    "an open bracket": ("name: x\ncaller:\n  steps: [\n", "line 3, at the end of the file: "),
    "an open mapping": (
        "name: x\nagent: {greeting: a\ncaller: {}\n",
        "while parsing a flow mapping that starts in line 2",
    ),
    "a colon in a text": ("name: x\nagent:\n  greeting: Hello: world\n", "line 3, column 18"),
    "a question in braces": (
        "name: x\nagent: {greeting: How can I help?}\n",
        'inside {} and [], strings that contain one of ? : , [ ] { } # need quotes, for example {text: "How can I help',
    ),
    "a question in brackets": ("name: x\nexpect: {says: [Hello, How are you?]}\n", "inside {} and [], strings"),
    "a colon in braces": ("name: x\nagent: {greeting: Note: closed}\n", "inside {} and [], strings"),
    "a comma in braces": (
        "name: x\nagent: {replies: [{say: Hi, there}]}\n",
        "unknown key `there` in `agent.replies[0]`; allowed: heard, say, say_first, call, tool, mcp; a string with",
    ),
    "a called party": ("name: x\ncaller: {to: '12'}\n", "`caller.to` has an invalid format; expected an E.164 number"),
    "a kind of header": (
        "name: x\ncaller: {headers: {X: y}}\n",
        "unknown key `X` in `caller.headers`; allowed: sip, voip",
    ),
    "an outcome of a tool": (
        "name: x\nexpect: {tools: [{name: a, outcome: done}]}\n",
        "`expect.tools[0].outcome` must be 'ok', 'failed' or 'unanswered'",
    ),
    "empty": ("", "`name` is missing"),
    "a list": ("- name: x\n", "must be a mapping"),
    "no name": ("caller:\n  steps: []\n", "`name` is missing"),
    "a name with a slash": ("name: a/b\n", "line 1: `name` has an invalid format; expected letters"),
    "a key of the whole": ("name: x\ncalls: 1\n", "line 2: unknown key `calls`; allowed: name, caller, agent"),
    "a key of the caller": ("name: x\ncaller:\n  nummer: 1\n", "line 3: unknown key `nummer` in `caller`"),
    "a key of a step": (
        "name: x\ncaller:\n  steps:\n    - say: a\n    - press: 1\n",
        "line 5: unknown key `press` in `caller.steps[1]`; allowed: say, play, dtmf, wait_for",
    ),
    "a key of a reply": (
        "name: x\nagent:\n  replies:\n    - say: a\n      text: b\n",
        "line 5: unknown key `text` in `agent.replies[0]`; allowed: heard, say, say_first, call, tool",
    ),
    "a key of a function call": (
        "name: x\nagent:\n  replies:\n    - call: {name: a, args: {}}\n",
        "in `agent.replies[0].call`; allowed: name, arguments",
    ),
    "a number for a key": (
        "name: x\ncaller:\n  steps:\n    - dtmf: 1\n",
        'line 4: `caller.steps[0].dtmf` must be a string; put it in quotes ("1"',
    ),
    "an odd key": ("name: x\ncaller: {steps: [{dtmf: E}]}\n", "the keys 0-9, A-D, * and #"),
    "a phone number": (
        "name: x\ncaller: {number: '12'}\n",
        "`caller.number` has an invalid format; expected an E.164 number",
    ),
    "an odd wait": (
        "name: x\ncaller: {steps: [{wait_for: agent}]}\n",
        "`caller.steps[0].wait_for` must be 'agent_starts', 'agent_ends' or 'silence'",
    ),
    "two things in a step": (
        "name: x\ncaller:\n  steps:\n    - say: a\n      hang_up: true\n",
        "line 4: `caller.steps[0]` must contain exactly one of say, play, dtmf, wait_for, pause_ms, hang_up",
    ),
    "ms without a wait": (
        "name: x\ncaller: {steps: [{say: a, ms: 500}]}\n",
        "which only `wait_for` supports; remove them from `say`",
    ),
    "a negative pause": ("name: x\ncaller: {steps: [{pause_ms: -1}]}\n", "must be 0 or more"),
    "no list": ("name: x\ncaller: {steps: {say: a}}\n", "must be a list"),
    "twice": ("name: x\ncaller: {}\ncaller: {}\n", "line 3: repeated key `caller`; remove one of them"),
    "no such recording": ("name: x\ncaller: {steps: [{play: none.wav}]}\n", "steps[0].play`: the file "),
}


@pytest.mark.parametrize(("text", "told"), CASES.values(), ids=CASES)
def test_a_mistake_is_reported_with_its_line(text: str, told: str, tmp_path: Path) -> None:
    assert told in mistakes_of(text, tmp_path)


def test_all_mistakes_are_reported_together(tmp_path: Path) -> None:
    told = mistakes_of("caller: {number: '12', steps: [{say: a, hang_up: true}, {sing: b}]}\n", tmp_path)
    for word in ("`name`", "caller.number", "steps[0]", "`sing`"):
        assert word in told


def test_bytes_that_are_not_utf8(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_bytes(b"name: \xff\xfe")
    with pytest.raises(ScenarioError, match="not UTF-8"):
        load_scenario(path)


def test_the_path_of_a_recording_is_relative_to_the_scenario(tmp_path: Path) -> None:
    (tmp_path / "hello.wav").touch()
    (tmp_path / "mine.yaml").write_text("name: x\ncaller: {steps: [{play: hello.wav}]}\n")
    [step] = load_scenario(tmp_path / "mine.yaml").caller.steps
    assert step.play == str(tmp_path / "hello.wav")
