from __future__ import annotations

from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest

from agent_relay.core.protocol.agent_profile import AgentProfile
from agent_relay.core.protocol.keypad_profile import KeypadProfile
from agent_relay.core.protocol.target_profile import TargetProfile
from agent_relay.profiles import MOST_NODES, load_profiles, target_mistakes
from bridge_common.base.errors import InputError


def _file(folder: Path, text: str) -> Path:
    path = folder / "profiles.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_without_a_file_there_is_the_default() -> None:
    assert load_profiles(None) == {"default": AgentProfile()}


def test_profiles_have_names(tmp_path: Path) -> None:
    text = """
    sales:
      voice: {type: azure-standard, name: de-DE-SeraphinaMultilingualNeural}
      language: de-DE
      greeting: {text: "Guten Tag!"}
      turn_detection: {silence_duration_ms: 350}
    night:
    """
    profiles = load_profiles(_file(tmp_path, text))
    assert set(profiles) == {"default", "sales", "night"}
    assert profiles["sales"].language == "de-DE"
    assert profiles["sales"].greeting is not None
    assert profiles["sales"].greeting.text == "Guten Tag!"
    assert profiles["night"] == AgentProfile()


def test_every_mistake_is_listed(tmp_path: Path) -> None:
    text = "a: {voise: x}\nb: {temperature: hot, greeting: {}}\n"
    with pytest.raises(InputError) as caught:
        load_profiles(_file(tmp_path, text))
    assert "a.voise: is unknown; known fields are target, warm_sessions, voice, language" in caught.value.message
    assert "b.temperature: must be a number" in caught.value.message
    assert "b.greeting" in caught.value.message


def test_an_unknown_key_of_a_greeting(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a.greeting.say: is unknown; known fields are text, say_how, interruptible"):
        load_profiles(_file(tmp_path, "a: {greeting: {text: Hello, say: x}}\n"))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ("silence: {after: 3}", "a.silence.after: is unknown; known fields are after_s, reprompts"),
        ("interim: {text: x}", "a.interim.text: is unknown; known fields are texts, after_ms"),
        ("tools: [{verb: GET}]", "a.tools[0].verb: is unknown; known fields are name, description"),
        (
            "tools: [{headers: {Authorization: {secret: A, prefx: b}}}]",
            "a.tools[0].headers.Authorization.prefx: is unknown; known fields are secret, prefix;",
        ),
    ],
)
def test_an_unknown_field_is_compared_with_those_of_its_level(tmp_path: Path, fields: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        load_profiles(_file(tmp_path, f"a: {{{fields}}}\n"))
    assert message in f"{caught.value.message};"


@pytest.mark.parametrize(
    "text",
    [
        *("- a\n- b\n", "just text", "a: [", "\x00", "a: *b", "a: &a {b: *a}", "[" * 2_000),
        *("a: !!int x", "a: !!int ''", "a: !!bool maybe", "a: !!timestamp x", "a: !!set {b}", "a: !!binary YQ=="),
    ],
)
def test_other_than_a_mapping_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(InputError):
        load_profiles(_file(tmp_path, text))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "a:\n  greeting: {text: Welcome. How can I help?}\n",
            "line 2, column 43: `?` has a meaning of its own between brackets, which open in line 2; put the",
        ),
        ("a:\n  goodbye_text: Bye: see you\n", "line 2, column 20: a colon followed by a space begins a value"),
        ("a: {}\nb: {}\na: {}\n", "line 3: the name 'a' occurs twice, first in line 1; remove one of them"),
        ("a:\n  voice: {x: 1, x: 2}\n", "line 2: the name 'x' occurs twice"),
        ("no: {}\n", "line 1: YAML reads the name no as true or false; put it in quotes"),
        ("a: {voice: {on: 1}}\n", "line 1: YAML reads the name on as true or false"),
        ("'': {}\n", "line 1: the name is empty; add one"),
        ("~: {}\n", "line 1: YAML does not read the name ~ as a string"),
        ("0123: {}\n", "line 1: YAML does not read the name 0123 as a string; put it in quotes"),
        ("[a]: {}\n", "line 1: a name must be a string"),
        ("a: []\n", "a: must be a mapping"),
        ("a: false\n", "a: must be a mapping"),
        ("a: {actions: end_call}\n", "a.actions: must be a list"),
        ("a: {end_phrases: Bye}\n", "a.end_phrases: must be a list"),
        (
            "a: {max_response_output_tokens: 0}\n",
            "a.max_response_output_tokens: must be an integer from 1 to 4096, or inf",
        ),
        (
            "a: {language: german}\n",
            "a.language: must consist of language tags such as en-US or de, separated by commas, got",
        ),
        ("a: {language: no}\n", "a.language: must be a string; YAML reads no, yes, on and off as true or false"),
        ("a: {goodbye_text: Bye, see you}\n", "a.see you: is unknown; known fields are target"),
        (
            "a: {tools: [{name: pay, headers: {X: 1}}]}\n",
            "a.tools[0] (pay).headers.X: must be a string in quotes, or {secret: NAME}",
        ),
        ("a: {tools: [{name: p y}]}\n", "a.tools[0] (p y).name: must begin with a letter or _, and consist of"),
        (
            "a: {tools: [{signing_secret: x}]}\n",
            "a.tools[0].signing_secret: must be the name of an environment variable",
        ),
        (
            "a: {mcp_servers: [{label: x, require_approval: 1}]}\n",
            "a.mcp_servers[0] (x).require_approval: must be 'always' or",
        ),
    ],
)
def test_mistakes_state_the_fault_and_the_remedy(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        load_profiles(_file(tmp_path, text))
    assert message in caught.value.message
    assert "Input should" not in caught.value.message


@pytest.mark.parametrize("language", ["en-US", "de", "es-419", "zh-Hant-TW", "en-US, de-DE", "en-US,es-ES", '""'])
def test_languages(tmp_path: Path, language: str) -> None:
    profile = load_profiles(_file(tmp_path, f"'1': {{language: '{language}'}}\n".replace("'\"\"'", "''")))["1"]
    assert profile.language == language.strip('"')


def test_numbers_may_be_names_of_profiles(tmp_path: Path) -> None:
    assert set(load_profiles(_file(tmp_path, "800: {}\nsales: {}\n"))) == {"default", "800", "sales"}


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        load_profiles(tmp_path / "nowhere.yaml")


def test_a_small_file_cannot_expand_to_a_huge_profile(tmp_path: Path) -> None:
    lines = ["a: &a [x]"]
    for before, name in pairwise("abcdefghi"):
        lines.append(f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]")
    with pytest.raises(InputError, match=f"more than {MOST_NODES} values after alias expansion"):
        load_profiles(_file(tmp_path, "\n".join(lines)))


def test_profiles_may_share_values_and_contain_only_json(tmp_path: Path) -> None:
    text = """
    sales: &sales
      voice: &voice {type: azure-standard, name: x, since: 2026-11-22}
    night:
      <<: *sales
      language: de-DE
    day: {voice: *voice}
    """
    profiles = load_profiles(_file(tmp_path, text))
    voice = {"type": "azure-standard", "name": "x", "since": "2026-11-22"}
    assert [profiles[name].voice for name in ("sales", "night", "day")] == [voice] * 3
    assert profiles["night"].language == "de-DE"


def test_a_target_of_its_own(tmp_path: Path) -> None:
    text = "sales: {target: {agent: front-desk, project: contoso}, warm_sessions: 2}\n"
    target = load_profiles(_file(tmp_path, text))["sales"].target
    assert target is not None
    assert (target.agent, target.project) == ("front-desk", "contoso")


def test_all_mistakes_of_targets_are_listed(tmp_path: Path) -> None:
    text = """
    a: {target: {model: m, agnet: x}}
    b: {target: {agent: x}}
    c: {target: {model: m, endpoint: "http://voice.example.com", api_key_secret: NOWHERE}}
    d: {target: {model: m, endpoint: "https://voice.example.com", api_key_secret: SOMEWHERE}}
    """
    with pytest.raises(InputError) as caught:
        load_profiles(_file(tmp_path, text), partial(target_mistakes, secrets={"SOMEWHERE": "key"}))
    message = caught.value.message
    assert "a.target.agnet: is unknown; known fields are agent, classic_agent, voice_agent" in message
    assert "b.target: `project` is missing; agent needs it" in message
    assert "c.target.api_key_secret: the environment variable NOWHERE is not set" in message
    assert "c.target.endpoint: traffic with voice.example.com is not encrypted" in message
    assert "d.target" not in message


def test_an_insecure_endpoint_can_be_allowed() -> None:
    target = TargetProfile(model="m", endpoint=("http://voice.example.com",))
    profiles = {"a": AgentProfile(target=target)}
    assert list(target_mistakes(profiles, {}))
    assert not list(target_mistakes(profiles, {}, ["plain-http"]))


def test_the_version_of_a_profile_depends_on_its_content_only() -> None:
    one = AgentProfile(language="de-DE", turn_detection={"a": 1, "b": 2})
    assert one.version == AgentProfile(turn_detection={"b": 2, "a": 1}, language="de-DE", dtmf=KeypadProfile()).version
    assert one.version != AgentProfile(language="de-AT").version
    assert len(one.version) == 12
