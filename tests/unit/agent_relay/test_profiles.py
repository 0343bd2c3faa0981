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
        ("tools: [{verb: GET}]", "a.tools.0.verb: is unknown; known fields are name, description"),
        (
            "tools: [{headers: {Authorization: {secret: A, prefx: b}}}]",
            "a.tools.0.headers.Authorization.SecretRef.prefx: is unknown; known fields are secret, prefix;",
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
