"""One public framework, unmodified, holds a conversation with the simulated Voice Live over TLS.

`make frameworks` runs it with the interpreter of an environment that has the packages of `requirements.txt` beside
this file; the script itself runs with the project's interpreter.
"""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lab.ports import free_port
from lab.speech import synthesize
from lab.voice_live.settings import DEFAULT_API_KEY

CHILD = Path(__file__).with_name("pipecat_agent.py")
QUESTION, STOP = "Where is my parcel?", "Stop, please."
GREETING = "Welcome to the parcel service."
LONG = "I have found it. It arrived in Leipzig this morning, it is sorted there now, and a driver brings it tomorrow."
AGENT = {
    "greeting": GREETING,
    "replies": [
        {"heard": QUESTION, "call": {"name": "find_parcel", "arguments": {"id": 7}}, "say": LONG},
        {"heard": STOP, "say": "I have stopped."},
    ],
}
READY_WITHIN_S = 20.0
CALL_WITHIN_S = 120.0


class Simulator:
    """A running `lab voice-live --tls`, and the client of its control API."""

    def __init__(self, folder: Path, port: int) -> None:
        self.url = f"https://localhost:{port}"
        self._process = subprocess.Popen(
            [Path(sys.executable).with_name("lab"), "voice-live", "--tls", "--tls-folder", folder],
            env={**os.environ, "PORT": str(port), "SPEED": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.trust = dict(self._exports())
        self._tls = ssl.create_default_context(cafile=self.trust["SSL_CERT_FILE"])

    def _exports(self) -> Iterator[tuple[str, str]]:
        """Return the environment variables that the simulator prints for applications."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            name, found, value = line.strip().removeprefix("export ").partition("=")
            if found:
                yield name, value
            if name == "NODE_EXTRA_CA_CERTS":
                return

    def ask(self, method: str, path: str, body: object = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        asked = urllib.request.Request(f"{self.url}{path}", data, method=method)
        with urllib.request.urlopen(asked, timeout=5, context=self._tls) as answer:
            return json.load(answer)

    def wait(self) -> None:
        give_up_at = time.monotonic() + READY_WITHIN_S
        while True:
            try:
                self.ask("GET", "/healthz")
                return
            except OSError:
                if time.monotonic() > give_up_at or self._process.poll() is not None:
                    raise
                time.sleep(0.1)

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait()


@contextmanager
def simulator(folder: Path) -> Iterator[Simulator]:
    running = Simulator(folder / "tls", free_port())
    try:
        running.wait()
        yield running
    finally:
        running.stop()


def call(python: str, folder: Path, lab: Simulator, model: str) -> dict[str, Any]:
    """Run the conversation and return the framework's result."""
    words = folder / "caller.pcm"
    words.write_bytes(synthesize(QUESTION, 24_000))
    environment = {
        **{name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        **lab.trust,
        "AZURE_VOICE_LIVE_ENDPOINT": lab.url,
        "AZURE_VOICE_LIVE_API_KEY": DEFAULT_API_KEY,
        "VOICE_LIVE_MODEL": model,
        "CALLER_PCM": str(words),
        "NO_PROXY": "localhost",
    }
    ran = subprocess.run(
        [python, CHILD], env=environment, capture_output=True, text=True, timeout=CALL_WITHIN_S, check=False
    )
    if ran.returncode:
        sys.exit(f"the conversation failed with {model}:\n{ran.stderr[-6000:]}")
    found: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    return found


def faults(found: Mapping[str, Any], session: Mapping[str, Any]) -> list[str]:
    """Return the failed checks. `found` is the framework's result, `session` the simulator's record."""
    said = [(row["text"], row["status"]) for row in session["said"]]
    cancelled = [row for row in session["timeline"] if row["event"] == "response_done" and row["status"] == "cancelled"]
    spoken = [message.get("content") for message in found["context"] if message.get("role") == "user"]
    refused = {row["code"] for row in session["timeline"] if row["event"] == "error_sent"}
    checks = {
        "the greeting was said whole": said[:1] == [(GREETING, "completed")],
        "the function was called once": found["calls"] == [{"id": 7}],
        "the caller interrupted the answer": len(cancelled) == 1 and found["interruptions"] >= 1,
        "what was not heard was truncated": len(session["truncations"]) >= 1,
        "the interruption was answered": said[-1] == ("I have stopped.", "completed"),
        # On a slow machine pipecat joins the two turns.
        "the caller's words are in the context": " ".join(spoken) == f"{QUESTION} {STOP}",
        "audio came": found["audio_ms"] > 3000,
        # pipecat cancels the interrupted response, although the service has already cancelled it.
        "nothing else was refused": refused <= {"response_cancel_not_active"} and not found["errors"],
    }
    return [what for what, held in checks.items() if not held]


def main() -> int:
    python = sys.argv[1]
    failed = False
    with tempfile.TemporaryDirectory() as name, simulator(Path(name)) as lab:
        lab.ask("PUT", "/lab/agent", AGENT)
        for model in ("gpt-4o-mini", "gpt-realtime"):
            found = call(python, Path(name), lab, model)
            session = lab.ask("GET", f"/lab/sessions/{lab.ask('GET', '/lab/sessions')['sessions'][-1]['id']}")
            wrong = faults(found, session)
            print(f"pipecat with {model} over {lab.url}: {'; '.join(f'failed: {what}' for what in wrong) or 'ok'}")
            if wrong:
                print(json.dumps({"found": found, "said": session["said"], "timeline": session["timeline"]}, indent=1))
            failed = failed or bool(wrong)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
