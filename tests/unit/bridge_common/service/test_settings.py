"""Settings from the environment: all errors are reported together, without secrets."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Self

import pytest
from pydantic import ValidationError, model_validator
from pydantic_settings import SettingsConfigDict

from bridge_common.service.settings import CommaSeparated, ServiceSettings, check_connection_string, load_settings


class Sample(ServiceSettings):
    acs_connection_string: str
    token_keys: CommaSeparated = ()
    limits: dict[str, int] = {}  # noqa: RUF012  # pydantic copies it
    voice: str = ""
    model: str = ""

    @model_validator(mode="after")
    def one_way(self) -> Self:
        if self.voice and self.model:
            raise ValueError("set VOICE or MODEL, not both")
        return self


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in list(os.environ):
        if name.lower() in Sample.model_fields:
            monkeypatch.delenv(name)
    monkeypatch.setenv("REDIS_URL", "redis://localhost")
    monkeypatch.setenv("PORT", "8080")
    monkeypatch.setenv("ACS_CONNECTION_STRING", "endpoint=…")
    return monkeypatch


def refusal(capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as ended:
        load_settings(Sample)
    assert ended.value.code == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    return captured.err


def test_the_environment_is_read_with_defaults() -> None:
    settings = load_settings(Sample)
    assert (settings.redis_address.host, settings.port, settings.redis_shards) == ("localhost", 8080, 1)
    assert (settings.host, settings.log_level, settings.log_format) == ("0.0.0.0", "INFO", "json")
    assert settings.token_keys == ()


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        load_settings(Sample).port = 1


@pytest.mark.parametrize(
    ("text", "found"),
    [("one", ("one",)), ("one,two", ("one", "two")), (" one , ,two,", ("one", "two")), ("", ()), (",", ())],
)
def test_a_list_is_written_with_commas(environment: pytest.MonkeyPatch, text: str, found: tuple[str, ...]) -> None:
    environment.setenv("TOKEN_KEYS", text)
    assert load_settings(Sample).token_keys == found


def test_empty_counts_as_not_set(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("REDIS_SHARDS", "")
    environment.setenv("LOG_LEVEL", "")
    settings = load_settings(Sample)
    assert (settings.redis_shards, settings.log_level) == (1, "INFO")


def test_all_mistakes_are_named_at_once(environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    environment.setenv("REDIS_URL", "http://localhost")
    environment.setenv("PORT", "70000")
    environment.setenv("REDIS_SHARDS", "many")
    environment.setenv("LOG_LEVEL", "LOUD")
    environment.setenv("DRAIN_TIMEOUT_S", "nan")
    environment.delenv("ACS_CONNECTION_STRING")
    named = [line.split(":")[0].strip() for line in refusal(capsys).splitlines()[1:]]
    assert sorted(named) == [
        "ACS_CONNECTION_STRING",
        "DRAIN_TIMEOUT_S",
        "LOG_LEVEL",
        "PORT",
        "REDIS_SHARDS",
        "REDIS_URL",
    ]


def test_a_missing_setting_is_said_to_be_missing(
    environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    environment.delenv("PORT")
    assert "  PORT: is not set\n" in refusal(capsys)


def test_a_rule_over_several_settings_is_told_in_its_own_words(
    environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    environment.setenv("VOICE", "a")
    environment.setenv("MODEL", "b")
    assert refusal(capsys).splitlines()[1:] == ["  set VOICE or MODEL, not both"]


def test_a_variable_that_should_hold_json_and_does_not_is_named(
    environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    environment.setenv("LIMITS", "{secret")
    text = refusal(capsys)
    assert "limits" in text
    assert "secret" not in text


def test_values_are_not_shown(environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    environment.setenv("REDIS_URL", "http://:secret@localhost")
    environment.setenv("PORT", "secret")
    assert "secret" not in refusal(capsys)


def test_a_process_with_wrong_settings_ends_with_code_2() -> None:
    code = "from bridge_common.service.settings import *; load_settings(ServiceSettings)"
    ended = subprocess.run(
        [sys.executable, "-c", code], env={"PATH": "/usr/bin"}, capture_output=True, text=True, timeout=30, check=False
    )
    assert ended.returncode == 2
    assert ended.stderr.splitlines()[1:] == ["  REDIS_URL: is not set", "  PORT: is not set"]


def test_variables_of_others_are_no_mistake(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("REDIS_URLS", "x")
    assert Sample.model_config == SettingsConfigDict(**ServiceSettings.model_config)
    load_settings(Sample)


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("http://secret", "REDIS_URL: has an unknown scheme; start it with redis://"),
        ("redis+sentinel://secret:26379", "REDIS_URL: has no name of the primary"),
        ("rediss://user:secret@cache.example:10000/0", "REDIS_ENTRA: cannot be combined with a password in REDIS_URL"),
        ("redis://cache.example:6379/0", "REDIS_ENTRA: needs TLS"),
    ],
)
def test_what_is_wrong_about_redis_is_named(
    environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], url: str, problem: str
) -> None:
    environment.setenv("REDIS_URL", url)
    environment.setenv("REDIS_ENTRA", "true")
    told = refusal(capsys)
    assert problem in told
    assert "secret" not in told


@pytest.mark.parametrize("url", ["rediss://principal@cache.example:10000", "redis://localhost:6379"])
def test_tokens_for_redis_travel_unseen(environment: pytest.MonkeyPatch, url: str) -> None:
    environment.setenv("REDIS_URL", url)
    environment.setenv("REDIS_ENTRA", "true")
    settings = load_settings(Sample)
    assert settings.redis_entra
    assert settings.redis_entra_scope == "https://redis.azure.com/.default"


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("redis+sentinel://host/mymaster", "REDIS_CLUSTER: supports neither sentinels nor a Unix socket"),
        ("unix:///run/redis.sock", "REDIS_CLUSTER: supports neither sentinels nor a Unix socket"),
        ("redis://host:6379/3", "REDIS_CLUSTER: supports only database 0"),
    ],
)
def test_what_does_not_fit_a_cluster_is_named(
    environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], url: str, problem: str
) -> None:
    environment.setenv("REDIS_URL", url)
    environment.setenv("REDIS_CLUSTER", "true")
    assert problem in refusal(capsys)


RESOURCE = "InstrumentationKey=00000000-0000-0000-0000-000000000001"


@pytest.mark.parametrize("rest", ["", ";IngestionEndpoint=https://x.example/;LiveEndpoint=https://y.example/"])
def test_a_string_of_a_resource_is_accepted(rest: str) -> None:
    check_connection_string(RESOURCE + rest)


@pytest.mark.parametrize(
    "text", ["hidden", "InstrumentationKey=hidden", f"{RESOURCE};IngestionEndpoint=hidden", f"{RESOURCE};"]
)
def test_others_are_refused_without_repeating_them(text: str) -> None:
    with pytest.raises(ValueError, match="copy the whole text") as caught:
        check_connection_string(text)
    assert "hidden" not in str(caught.value)
