"""All simulators of a machine share one authority, and clients that trust it accept their certificates."""

from __future__ import annotations

import argparse
import ssl
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
import uvicorn
import websockets

from lab.acs.app import main as acs_main
from lab.identity import IdentitySettings
from lab.identity import main as identity_main
from lab.identity import server_config as identity_config
from lab.tls import add_tls_options, server_tls, tls_from
from lab.voice_live.app import main as voice_live_main
from lab.voice_live.app import server_config as voice_live_config
from lab.voice_live.settings import DEFAULT_API_KEY, VoiceLiveSettings
from tests.support.lab_server import running
from tests.support.voice_live_stage import NEWEST

_CREATE = "import sys; from pathlib import Path; from lab.tls import server_tls; server_tls(Path(sys.argv[1]))"


def client_context(ca: Path) -> ssl.SSLContext:
    """Return a context that trusts only this authority, with the strict checks of Python 3.13."""
    context = ssl.create_default_context(cafile=str(ca))
    context.verify_flags |= ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


def served_names(server: ssl.SSLContext, client: ssl.SSLContext, host: str) -> None:
    """Perform a handshake in memory and return the names in the certificate. Raises `ssl.SSLCertVerificationError` if
    the client rejects the certificate.
    """
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    a = client.wrap_bio(to_client, to_server, server_hostname=host)
    b = server.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(3):
        for side in (a, b):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    assert a.getpeercert()


def test_the_authority_is_created_once_and_its_key_is_private(tmp_path: Path) -> None:
    first, second = server_tls(tmp_path / "new" / "tls"), server_tls(tmp_path / "new" / "tls")
    assert first.ca == second.ca
    assert first.ca.is_absolute()
    client = client_context(first.ca)
    served_names(first.context, client, "localhost")
    served_names(second.context, client, "localhost")
    assert stat.S_IMODE((first.ca.parent / "ca-key.pem").stat().st_mode) == 0o600


def test_simulators_that_start_together_share_one_authority(tmp_path: Path) -> None:
    folder = tmp_path / "tls"
    started = [subprocess.Popen([sys.executable, "-c", _CREATE, str(folder)]) for _ in range(3)]
    assert [process.wait() for process in started] == [0, 0, 0]
    assert (folder / "ca.pem").read_text().count("BEGIN CERTIFICATE") == 1
    tls = server_tls(folder)
    served_names(tls.context, client_context(tls.ca), "localhost")


def test_the_certificate_names_this_machine_and_what_was_asked_for(tmp_path: Path) -> None:
    tls = server_tls(tmp_path, ["acs.test", "*.services.test", "localhost"])
    client = client_context(tls.ca)
    for host in ("localhost", "127.0.0.1", "::1", "acs.test", "my.services.test"):
        served_names(tls.context, client, host)
    with pytest.raises(ssl.SSLCertVerificationError):
        served_names(tls.context, client, "other.test")


def test_options_print_what_an_application_needs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    add_tls_options(parser)
    assert tls_from(parser.parse_args([])) is None
    assert capsys.readouterr().out == ""
    tls = tls_from(parser.parse_args(["--tls", "--tls-folder", str(tmp_path), "--tls-name", "acs.test"]))
    assert tls is not None
    served_names(tls.context, client_context(tls.ca), "acs.test")
    printed = capsys.readouterr().out.splitlines()
    for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS"):
        assert f"  export {name}={tmp_path / 'ca.pem'}" in printed


async def test_http_and_websockets_are_served_over_tls(tmp_path: Path) -> None:
    tls = server_tls(tmp_path)
    trusting = client_context(tls.ca)
    async with running(identity_config(IdentitySettings(port=0), tls)) as address:
        async with httpx.AsyncClient(verify=trusting) as client:
            assert (await client.get(f"https://{address}/healthz")).json() == {"status": "ok"}
        async with httpx.AsyncClient(verify=ssl.create_default_context()) as stranger:
            with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
                await stranger.get(f"https://{address}/healthz")
    settings = VoiceLiveSettings(port=0, session_setup_s=0.0)
    async with running(voice_live_config(settings, tls)) as address:
        url = f"wss://{address}/voice-live/realtime?api-version={NEWEST}&model=gpt-4o"
        async with websockets.connect(
            url, ssl=trusting, additional_headers={"api-key": DEFAULT_API_KEY}, proxy=None
        ) as socket:
            assert b"session.created" in (await socket.recv(decode=False))


@pytest.mark.parametrize("main", [acs_main, voice_live_main, identity_main])
def test_every_simulator_takes_the_options(
    main: Callable[[list[str]], int],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """If the folder is a file, the program exits with code 2 before it serves requests."""
    (tmp_path / "file").touch()
    served: list[uvicorn.Server] = []
    monkeypatch.setattr(uvicorn.Server, "serve", served.append)
    assert main(["--tls", "--tls-folder", str(tmp_path / "file")]) == 2
    assert not served
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    printed = capsys.readouterr().out
    assert "--tls-name" in printed
    assert "\n  HOST=127.0.0.1\n" in printed
