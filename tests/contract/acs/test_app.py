from __future__ import annotations

import pytest
import uvicorn

from lab.acs import app
from lab.acs.settings import AcsSettings
from lab.tls import Tls
from tests.contract.support.acs_stage import Stage
from tests.support.lab_server import no_server


async def test_openid_configuration_points_to_the_keys_under_the_name_it_was_asked_by(stage: Stage) -> None:
    path = "/calling/.well-known/acsopenidconfiguration"
    configuration = (await stage.lab.get(path, headers={"Host": "acs.example:8090"})).json()
    assert configuration["jwks_uri"] == "http://acs.example:8090/calling/keys"
    assert configuration["issuer"] == "http://acs.lab"
    assert configuration["id_token_signing_alg_values_supported"] == ["RS256"]


def test_wrong_settings_end_the_program_with_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("EVENT_SCHEMA", "xml")
    assert app.main() == 2
    assert "EVENT_SCHEMA must be 'eventgrid' or 'cloudevents', got 'xml'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "environment", "strict"), [([], "0", False), ([], "1", True), (["--strict"], "0", True)]
)
def test_strictness_is_asked_for_by_the_command_line_or_the_environment(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str], environment: str, strict: bool
) -> None:
    served: list[AcsSettings] = []
    server_config = app.server_config

    def record(settings: AcsSettings, tls: Tls | None) -> uvicorn.Config:
        served.append(settings)
        return server_config(settings, tls)

    monkeypatch.setenv("LAB_STRICT", environment)
    monkeypatch.setattr(app, "server_config", record)
    monkeypatch.setattr(uvicorn.Server, "serve", no_server)
    monkeypatch.setattr("lab.simulator.configure_log", lambda level: None)
    assert app.main(arguments) == 0
    assert [settings.lab_strict for settings in served] == [strict]
