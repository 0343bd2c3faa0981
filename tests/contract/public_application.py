"""Runs a call between the simulators, over TLS, and an unmodified public application.

    python -m tests.contract.public_application FOLDER --python INTERPRETER

FOLDER is a checkout of Azure-Samples/call-center-voice-agent-accelerator, used as it is; INTERPRETER has the packages
that its `server/pyproject.toml` lists, with the extra `acs`. The application reads a connection string, so it requires
HTTPS; callbacks and the media socket use HTTPS and WSS as well. Exit code: 0 if every check passes, 1 if not, 2 if
the application or its packages are missing. It is not part of `make test`, which has to run offline.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import soxr
import trustme

from lab.acs.settings import LAB_ACCESS_KEY
from lab.call_checks import LIKENESS, CallCheck
from lab.demo import DEFAULT_SCENARIO
from lab.heard_audio import Recording, find_speech, read_recording
from lab.ports import free_port
from lab.scenario import Scenario
from lab.scenario_file import load_scenario
from lab.tls import server_tls
from lab.voice_live.settings import DEFAULT_API_KEY
from lab.wire import Json, WireError, call_json, raw

NEEDED = ("quart", "hypercorn", "azure.ai.voicelive", "azure.communication.callautomation", "azure.eventgrid")
START_S = 30.0
CALL_S = 90.0
COMPARED_MS = 1000.0
"""Length of the part of each utterance that is searched for in the recording; an interrupted utterance was not played
to its end.
"""


@dataclass(frozen=True)
class Urls:
    acs: str
    voice: str
    application: str


@contextmanager
def started(command: Sequence[str], env: Mapping[str, str], folder: Path, log: Path, probe: str) -> Iterator[None]:
    """Run a process for the duration of the context. Raises `RuntimeError` with its log if it does not become ready."""
    with log.open("wb") as output:
        process = subprocess.Popen(command, env={**os.environ, **env}, cwd=folder, stdout=output, stderr=output)
        try:
            deadline = time.monotonic() + START_S
            while not _answers(probe):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"{command[0]} is not ready:\n{log.read_text(errors='replace')[-3000:]}")
                time.sleep(0.1)
            yield
        finally:
            process.terminate()
            process.wait(timeout=15)


def _answers(url: str) -> bool:
    try:
        raw("GET", url, timeout_s=1.0)
    except WireError:
        return False
    return True


@contextmanager
def running(application: Path, python: str, work: Path) -> Iterator[Urls]:
    """Run both simulators and the application. They trust only the authority of the simulators."""
    tls = server_tls(work / "tls")
    os.environ.update(tls.environment)
    certificate, key = work / "application.pem", work / "application-key.pem"
    authority = trustme.CA.from_pem(tls.ca.read_bytes(), (work / "tls" / "ca-key.pem").read_bytes())
    issued = authority.issue_cert("127.0.0.1")
    certificate.write_bytes(b"".join(part.bytes() for part in issued.cert_chain_pems))
    key.write_bytes(issued.private_key_pem.bytes())
    acs, voice, own = free_port(), free_port(), free_port()
    urls = Urls(*(f"https://127.0.0.1:{port}" for port in (acs, voice, own)))
    lab = [sys.executable, "-c", "import sys; from lab.cli import main; sys.exit(main())"]
    tls_options = ["--tls", "--tls-folder", str(work / "tls")]
    server = [python, "-m", "hypercorn", "--bind", f"127.0.0.1:{own}", "server:app"]
    settings = {
        "ACS_CONNECTION_STRING": f"endpoint={urls.acs}/;accesskey={LAB_ACCESS_KEY}",
        "ACS_DEV_TUNNEL": urls.application,
        "AZURE_VOICE_LIVE_ENDPOINT": urls.voice,
        "AZURE_VOICE_LIVE_API_KEY": DEFAULT_API_KEY,
    }
    webhook = {"PORT": str(acs), "WEBHOOK_URL": f"{urls.application}/acs/incomingcall"}
    with ExitStack() as stack:
        for command, env, folder, log, probe in (
            ([*lab, "voice-live", *tls_options], {"PORT": str(voice)}, work, "voice-live", f"{urls.voice}/healthz"),
            ([*lab, "acs", *tls_options], webhook, work, "acs", f"{urls.acs}/healthz"),
            (
                [*server, "--certfile", str(certificate), "--keyfile", str(key)],
                settings,
                application,
                "application",
                f"{urls.application}/health",
            ),
        ):
            stack.enter_context(started(command, env, folder, work / f"{log}.log", probe))
        yield urls


def hold_call(urls: Urls, scenario: Scenario) -> tuple[Json, Json, Recording]:
    """Place the call. Return the phone's record of it, the voice session and the recording. Raises `WireError`,
    `RuntimeError`.
    """
    call_json("PUT", f"{urls.voice}/lab/agent", scenario.agent.model_dump(mode="json"))
    steps = [step.model_dump(mode="json", exclude_none=True) for step in scenario.caller.steps]
    lab_id = call_json("POST", f"{urls.acs}/lab/calls", {"from": scenario.caller.number, "steps": steps})["id"]
    deadline = time.monotonic() + CALL_S
    phone: Json = {}
    while not any(row["event"] == "callback_sent" and "CallDisconnected" in row["types"] for row in _rows(phone)):
        if time.monotonic() > deadline:
            raise RuntimeError(f"the call did not end within {CALL_S:.0f} s: {phone}")
        time.sleep(0.2)
        phone = call_json("GET", f"{urls.acs}/lab/calls/{lab_id}")
    recording = read_recording(raw("GET", f"{urls.acs}/lab/calls/{lab_id}/recording.wav"))
    sessions = call_json("GET", f"{urls.voice}/lab/sessions")["sessions"]
    voice = call_json("GET", f"{urls.voice}/lab/sessions/{sessions[-1]['id']}") if sessions else {}
    return phone, voice, recording


def _rows(phone: Json) -> list[Json]:
    rows: list[Json] = phone.get("timeline", [])
    return rows


def checks(urls: Urls, scenario: Scenario, phone: Json, voice: Json, recording: Recording) -> Iterator[CallCheck]:
    ended = (phone.get("state"), phone.get("end_reason"))
    yield CallCheck("ended by the caller", ended == ("ended", "caller_hung_up"), " ".join(map(str, ended)))
    failed = [row for row in _rows(phone) if row["event"] == "callback_failed"]
    sent = [kind for row in _rows(phone) if row["event"] == "callback_sent" for kind in row["types"]]
    yield CallCheck("every callback was taken", not failed and "MediaStreamingStarted" in sent, ", ".join(sent))
    said = [step.say for step in scenario.caller.steps if step.say]
    heard = [str(turn["text"]) for turn in voice.get("user_turns", [])]
    yield CallCheck("the caller's turns were heard", heard == said, f"{len(heard)} of {len(said)}")
    stops = sum(row["event"] == "stop_audio" for row in _rows(phone))
    yield CallCheck("the caller could interrupt", stops > 0, f"StopAudio {stops} times")
    items = voice.get("said", [])
    for item in items:
        pcm = raw("GET", f"{urls.voice}/lab/sessions/{voice['id']}/speech/{item['item_id']}")
        samples = soxr.resample(np.frombuffer(pcm, dtype="<i2"), 24_000, recording.rate_hz)
        count = int(min(COMPARED_MS, float(item["ms"])) * recording.rate_hz / 1000)
        found = find_speech(recording.agent, recording.rate_hz, samples[:count].astype("<i2").tobytes())
        text = str(item["text"])[:40]
        yield CallCheck(f"heard: “{text}”", found.likeness >= LIKENESS, f"likeness {found.likeness:.3f}")
    wanted = 1 + len(scenario.agent.replies)
    yield CallCheck("the agent greeted and answered", len(items) == wanted, f"{len(items)} of {wanted} things said")


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--python", default=sys.executable, help="the interpreter with the application's packages")
    options = parser.parse_args(argv)
    application = options.folder.resolve() / "server"
    if not (application / "server.py").exists():
        print(
            f"{application / 'server.py'} does not exist; FOLDER must be a checkout of the application.",
            file=sys.stderr,
        )
        return 2
    have = subprocess.run([options.python, "-c", f"import {', '.join(NEEDED)}"], capture_output=True, text=True)
    if have.returncode:
        print(
            f"a package of the application is missing in {options.python}: {have.stderr.strip()[-200:]}",
            file=sys.stderr,
        )
        return 2
    scenario = load_scenario(DEFAULT_SCENARIO)
    with TemporaryDirectory() as work, running(application, options.python, Path(work)) as urls:
        phone, voice, recording = hold_call(urls, scenario)
        found = list(checks(urls, scenario, phone, voice, recording))
        for check in found:
            print(f"  {'ok ' if check.holds else 'NOT'}  {check.claim}: {check.figure}")
        for row in call_json("GET", f"{urls.acs}/lab/unsupported"):
            if row["used"]:
                print(f"  without effect in the simulated ACS: {row['where']}: {row['what']}")
    return 0 if all(check.holds for check in found) else 1


if __name__ == "__main__":
    sys.exit(main())
