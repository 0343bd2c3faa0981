from __future__ import annotations

import pytest

from acs_stage import Stage
from lab.acs import app
from lab.acs.log import logger


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
    monkeypatch.setattr(logger, "handlers", [])
    monkeypatch.setattr(logger, "propagate", False)
    assert app.main() == 2
    assert "EVENT_SCHEMA must be one of eventgrid, cloudevents" in capsys.readouterr().err
