"""Scenarios that are well-formed but cannot work: their mistakes are reported before the stack starts."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from lab.scenario import BUILT_IN, Scenario
from lab.scenario_checks import stack_mistakes
from lab.scenario_file import ScenarioError, load_scenario

CALL = "agent: {replies: [{call: {name: end_call}}]}\n"
TOOL = "agent: {replies: [{tool: {name: end_call}}]}\n"


def mistakes_of(text: str, **environ: str) -> list[str]:
    return list(stack_mistakes(Scenario.model_validate(yaml.safe_load(text)), None, environ))


def test_the_built_in_scenarios_have_no_mistakes() -> None:
    for path in BUILT_IN.values():
        load_scenario(path)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "name: x\nstack: {settings: {GOODBYE_TIMEOUTS: '3'}}\n",
            "line 2: `stack.settings.GOODBYE_TIMEOUTS` is not a setting of a service or simulator; did you mean GOOD",
        ),
        ("name: x\nstack: {settings: {Q: '3'}}\n", "`stack.settings.Q` is not a setting"),
        ("name: x\nstack:\n  settings:\n    PORT: '3'\n", "line 4: `stack.settings.PORT` is set by `lab` itself"),
        (
            "name: x\nstack:\n  settings: {AGENT_PROFILES_FILE: /x}\n  profile: {language: de-DE}\n",
            "cannot be combined with `stack.profile`",
        ),
        (
            "name: x\nstack: {model: gpt-4.1, settings: {AZURE_OPENAI_DEPLOYMENT: x}}\n",
            "`stack.model` cannot be combined with",
        ),
        (
            "name: x\nstack:\n  faults:\n    business: {never: {}}\n",
            "line 4: `stack.faults.business` has no effect: no tool in `stack.profile` uses BUSINESS",
        ),
        (
            "name: x\nstack:\n  faults:\n    voice-live:\n      response_slow: {delay: 2}\n",
            "line 5: unknown key `delay` in `stack.faults.voice-live.response_slow`; allowed: times, delay_s, created",
        ),
        (
            "name: x\nstack: {faults: {acs: {rest: {dial: {status: 503}}}}}\n",
            "line 2: `stack.faults.acs.rest` unknown operation 'dial'; known: *",
        ),
        ("name: x\nstack: {faults: {phone: {}}}\n", "line 2: unknown key `phone` in `stack.faults`; it must be 'acs'"),
    ],
)
def test_a_stack_that_cannot_work_is_refused(text: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(ScenarioError) as caught:
        load_scenario(tmp_path / "mine.yaml")
    assert told in str(caught.value)


WORDS = "{transfer: {confirm: {words: [yes, ok]}}}"


@pytest.mark.parametrize(
    ("stack", "allowed"),
    [
        ("", False),
        ("stack: {model: gpt-4.1, profile: {transfer: {confirm: {key: '1'}}}}\n", False),
        (f"stack: {{model: gpt-4.1, profile: {WORDS}}}\n", True),
        (f"stack: {{model: gpt-4.1, profiles: {{desk: {WORDS}}}}}\n", True),
    ],
)
def test_only_words_that_confirm_a_transfer_have_no_answer(stack: str, allowed: bool) -> None:
    found = mistakes_of(f"name: x\n{stack}agent: {{replies: [{{say: Hello.}}, {{heard: Yes.}}]}}\n")
    assert [mistake.startswith("`agent.replies[1]` needs `say`") for mistake in found] == ([] if allowed else [True])


@pytest.mark.parametrize(
    "stack",
    [
        "",
        "stack: {profile: {actions: [end_call]}}\n",
        "stack: {profile: {target: {agent: desk, project: contoso}}}\n",
        "stack: {faults: {voice-live: {agent_tool: {form: twice}}}}\n",
    ],
)
def test_a_function_call_of_an_agent_needs_a_form(stack: str) -> None:
    [mistake] = mistakes_of(f"name: x\n{stack}{CALL}")
    assert mistake.startswith("`agent.replies[0].call` needs a model: it is not known whether Voice Live")
    for remedy in ("`stack.model`", "`tool`", "agent_function", "stalled, failed, accepted, refused"):
        assert remedy in mistake


@pytest.mark.parametrize(
    "stack",
    [
        "stack: {model: gpt-4.1}\n",
        "stack: {settings: {VOICE_LIVE_MODEL: gpt-4.1}}\n",
        "stack: {settings: {VOICE_AGENT_NAME: desk}}\n",
        "stack: {profile: {target: {voice_agent: desk, project: contoso}}}\n",
        "stack: {profile: {target: {model: gpt-4.1}}}\n",
        "stack: {settings: {AGENT_PROFILES_FILE: /x}}\n",
        "stack: {faults: {voice-live: {agent_function: {form: stalled}}}}\n",
    ],
)
def test_a_function_call_of_a_model_or_with_a_form_is_accepted(stack: str) -> None:
    assert mistakes_of(f"name: x\n{stack}{CALL}") == []


def test_the_exported_settings_count() -> None:
    assert mistakes_of(f"name: x\n{CALL}", VOICE_LIVE_MODEL="gpt-4.1") == []
    assert mistakes_of(f"name: x\n{CALL}", AGENT_PROFILES_FILE="/any") == []
    assert len(mistakes_of(f"name: x\n{TOOL}", VOICE_LIVE_MODEL="gpt-4.1")) == 1


def test_a_tool_of_foundry_needs_an_agent() -> None:
    [mistake] = mistakes_of(f"name: x\nstack: {{model: gpt-4.1}}\n{TOOL}")
    assert "needs a Foundry agent" in mistake
    assert mistakes_of(f"name: x\n{TOOL}") == []
