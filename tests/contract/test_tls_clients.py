"""The unmodified Azure SDKs for Python trust the simulators with the environment that `--tls` prints."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from lab.acs.settings import LAB_ACCESS_KEY
from lab.identity import DEFAULT_HEADER
from lab.ports import free_port
from lab.voice_live.settings import DEFAULT_API_KEY
from tests.support.eventually import eventually

CLIENT = """
import asyncio, sys
from azure.ai.voicelive.aio import connect
from azure.communication.callautomation import CallAutomationClient
from azure.core.credentials import AzureKeyCredential
from azure.core.exceptions import ResourceNotFoundError
from azure.identity import ManagedIdentityCredential

acs, voice_live, key, access_key = sys.argv[1:]
print("identity", len(ManagedIdentityCredential().get_token("https://ai.azure.com/.default").token) > 100)
client = CallAutomationClient.from_connection_string(f"endpoint={acs}/;accesskey={access_key}")
try:
    client.get_call_connection("none").get_call_properties()
except ResourceNotFoundError as error:
    print("acs", error.status_code)

async def talk():
    async with connect(endpoint=voice_live, credential=AzureKeyCredential(key), model="gpt-4o") as connection:
        print("voice-live", (await connection.recv()).type)

asyncio.run(talk())
"""


@contextmanager
def served(simulator: str, folder: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Run a simulator. Yields its port and the environment variables that it prints."""
    port = free_port()
    process = subprocess.Popen(
        [Path(sys.executable).with_name("lab"), simulator, "--tls", "--tls-folder", folder],
        env={"PORT": str(port), "PATH": "", "WEBHOOK_WAIT_S": "0"},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        printed = [process.stdout.readline() for _ in range(4)]
        exports = [line.strip().removeprefix("export ").partition("=") for line in printed[1:]]
        yield port, {name: value for name, _, value in exports}
    finally:
        process.terminate()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


async def listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


def run_client(environment: dict[str, str], *arguments: str) -> str:
    """Run the client and return its output."""
    ran = subprocess.run(
        [sys.executable, "-c", CLIENT, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=40,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    return ran.stdout


async def test_the_sdks_connect_with_nothing_but_the_printed_environment(tmp_path: Path) -> None:
    with ExitStack() as running:
        ports, environments = zip(
            *(running.enter_context(served(name, tmp_path)) for name in ("acs", "voice-live", "identity")), strict=True
        )
        assert environments[0] == environments[1] == environments[2]
        for port in ports:
            await eventually(partial(listens, port), within_s=15, what="the simulator listens")
        acs, voice_live, identity = (f"https://localhost:{port}" for port in ports)
        environment = {
            **environments[0],
            "IDENTITY_ENDPOINT": f"{identity}/msi/token",
            "IDENTITY_HEADER": DEFAULT_HEADER,
            "NO_PROXY": "localhost",
        }
        printed = await asyncio.to_thread(run_client, environment, acs, voice_live, DEFAULT_API_KEY, LAB_ACCESS_KEY)
    assert printed.splitlines() == ["identity True", "acs 404", "voice-live session.created"]
