"""`lab acs`, `lab voice-live` and `lab identity` hand their options on to the simulator."""

from __future__ import annotations

import pytest

from lab.cli import main


@pytest.mark.parametrize(
    ("simulator", "setting"),
    [("acs", "WEBHOOK_URL=http"), ("voice-live", "REPLY_DELAY_S=0.25"), ("identity", "TOKEN_LIFETIME_S=86400")],
)
def test_the_help_of_a_simulator_lists_its_settings(
    simulator: str, setting: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([simulator, "--help"])
    assert ended.value.code == 0
    printed = capsys.readouterr().out
    assert printed.startswith(f"usage: lab {simulator} ")
    assert setting in printed


@pytest.mark.parametrize("command", [["identity", "--tsl"], ["down", "--tls"]])
def test_unknown_options_are_refused(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(command)
    assert ended.value.code == 2
    assert f"unrecognized arguments: {command[1]}" in capsys.readouterr().err
