"""`lab demo`: one whole phone call through the real services, told as it happens, recorded, and checked."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from importlib.resources import files
from pathlib import Path
from typing import Final

from lab.call_checks import CallCheck, check_call
from lab.exported import notices
from lab.heard_audio import read_recording
from lab.kept_stack import found, not_ready
from lab.metric_checks import MetricsBefore
from lab.observed_call import ObservedCall, place_call, save_recording
from lab.redis_server import NoRedisError
from lab.scenario import Scenario, ScenarioError, load_scenario
from lab.stack import Ports, Stack, StackError, log_tail, running, show_ready
from lab.timeline import tell
from lab.wire import Json, WireError

DEFAULT_SCENARIO: Final = Path(str(files("lab") / "scenarios" / "opening-hours.yaml"))
_CALL_TIMEOUT_S: Final = 120.0
_SETTLE_S: Final = 2.0
"""All of a call is released within this time of its end."""


def demo(scenario_path: Path, folder: Path, out: Path, *, play: bool = False, attach: bool = False) -> int:
    """Exit code 0 when the call passed every check. `attach` uses the stack that `lab up` or Docker Compose started."""
    try:
        scenario = load_scenario(scenario_path)
    except OSError as error:
        print(f"The scenario {scenario_path} cannot be read: {error.strerror or error}", file=sys.stderr)
        return 2
    except ScenarioError as error:
        print(error, file=sys.stderr)
        return 2
    try:
        if attach:
            stack = found(folder, Ports())
            if stack is None:
                print("No stack is up. Start one with `make up` or `docker compose --profile sim up`.", file=sys.stderr)
                return 2
            if missing := not_ready(stack):
                print(f"The stack is up only in part; not ready: {', '.join(missing)}.", file=sys.stderr)
                print(f"Logs: {stack.folder}. `lab --folder {stack.folder} down` stops the rest.", file=sys.stderr)
                return 1
            return _one_call(stack, scenario, out, play=play)
        for line in notices(Path.cwd()):
            print(line, file=sys.stderr)
        print("Starting:", end="", flush=True)
        with running(Stack(Ports.free(), folder, progress=show_ready)) as stack:
            print(flush=True)
            return _one_call(stack, scenario, out, play=play)
    except (StackError, NoRedisError, WireError) as error:
        print(f"\nThe demo could not run: {error}", file=sys.stderr)
        return 1


def _one_call(stack: Stack, scenario: Scenario, out: Path, *, play: bool) -> int:
    before = MetricsBefore.read(stack)
    call = place_call(stack, scenario)
    print(f"Calling, scenario “{scenario.name}”. Seconds since the phone began to ring:\n")
    _follow(stack, call)
    print("\nChecking what was heard …", flush=True)
    record, transcript = _settled(call)
    wav_path = out / f"{scenario.name}.wav"
    recording = read_recording(save_recording(call, wav_path))
    transcript_path = _write_transcript(out / f"{scenario.name}.txt", transcript)
    checks = check_call(call, scenario, recording, transcript)
    checks.append(
        CallCheck(
            "call-control knows the call as ended", record.get("status") == "ended", str(record.get("end_reason"))
        )
    )
    checks += before.checks(call, transcript)
    if before.other_calls:
        print("Other calls were running: the services' metrics are not compared with this one.", file=sys.stderr)
    print("\nTranscript\n" + transcript_path.read_text(encoding="utf-8"))
    print(f"Listen to {wav_path} (caller left, agent right, {recording.seconds:.1f} s); read {transcript_path}\n")
    for check in checks:
        print(f"  {'ok ' if check.holds else 'NOT'}  {check.claim}: {check.figure}")
    if record:
        print(f"\n  The operator API's id of this call: {record['call_id']} (call {call.lab_id} of the simulated ACS)")
    if play:
        _play(wav_path)
    broken = [check for check in checks if not check.holds]
    if broken:
        print(f"\n{len(broken)} of {len(checks)} claims do not hold. Logs: {stack.folder}", file=sys.stderr)
        for process in stack.dead():
            print(f"{process.name} ended by itself:\n{log_tail(process)}", file=sys.stderr)
        return 1
    print(f"\nAll {len(checks)} claims hold.")
    return 0


def _follow(stack: Stack, call: ObservedCall) -> None:
    deadline = time.monotonic() + _CALL_TIMEOUT_S
    while not call.finished:
        if time.monotonic() > deadline:
            raise StackError(f"the call did not end within {_CALL_TIMEOUT_S:.0f} s; logs: {stack.folder}")
        if stack.dead():
            raise StackError(f"{stack.dead()[0].name} died during the call:\n{log_tail(stack.dead()[0])}")
        time.sleep(0.1)
        call.poll()
        for side, event in call.new_events():
            line = tell(side, event)
            if line:
                print(f"  {event['t'] - (call.rang_at or event['t']):7.3f}  {line}", flush=True)


def _settled(call: ObservedCall) -> tuple[Json, list[Json]]:
    """The record and transcript, once call-control says that the call is over or should have."""
    deadline = time.monotonic() + _SETTLE_S
    while True:
        record = call.record()
        if record.get("status") == "ended" or time.monotonic() > deadline:
            call.poll()
            return record, call.transcript(str(record["call_id"])) if record else []
        time.sleep(0.05)


def _write_transcript(path: Path, transcript: list[Json]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = []
    # Words become known after a key that was pressed later: the time is that of their beginning.
    for row in sorted(transcript, key=lambda row: int(row.get("at_ms", 0))):
        if row.get("role"):
            heard = f" — interrupted after {row['heard_ms']} ms" if row.get("interrupted") else ""
            first, frame = row.get("first_delta_ms", -1), row.get("first_frame_ms", -1)
            latency = (
                f"  [{first} ms to the first delta, {frame} ms to the first frame]" if first and first >= 0 else ""
            )
            lines.append(f"  {row['role']:>6}: {row['text']}{heard}{latency}")
        else:
            lines.append(f"          ({row.get('what')}: {row.get('detail')})")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def _play(wav_path: Path) -> None:
    for player in (
        ["aplay", "-q"],
        ["afplay"],
        ["ffplay", "-nodisp", "-autoexit", "-loglevel", "quiet"],
        ["play", "-q"],
    ):
        if shutil.which(player[0]):
            subprocess.run([*player, str(wav_path)], check=False)
            return
    print("No player found (aplay, afplay, ffplay or play); open the WAV yourself.", file=sys.stderr)
