"""`lab demo` and `lab call`: one phone call through the real services, printed as it happens, recorded and checked."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Final

from lab.call_checks import CallCheck
from lab.call_report import report_on
from lab.exported import notices
from lab.kept_stack import find_stack, lab_command, load_stack, not_ready, stack_on_ports
from lab.metric_checks import MetricsBefore
from lab.observed_call import ObservedCall, place_call
from lab.redis_server import NoRedisError
from lab.scenario import BUILT_IN, Scenario, ScenarioStack
from lab.scenario_file import ScenarioError, load_scenario, located_error
from lab.service_readers import ReaderError
from lab.stack import Ports, RefusedSettingsError, Stack, StackError, running, show_ready, stack_folder
from lab.stack_files import refused_parts, service_faults
from lab.story import place_other, prepare, stack_for
from lab.timeline import format_event
from lab.wire import WireError, call_json

DEFAULT_SCENARIO: Final = BUILT_IN["opening-hours"]
_CALL_TIMEOUT_S: Final = 120.0
_HANG_UP_S: Final = 10.0
"""Time until a call that was hung up has ended."""
_START: Final = "Start one with `make up` or `docker compose --profile sim up`."


def demo(scenario_path: Path, folder: Path, out: Path, *, play: bool = False) -> int:
    """Start a stack, place one call, stop the stack. Return exit code 0 if the call passed every check."""
    path = _path_of(scenario_path)
    scenario = _read(path)
    if scenario is None:
        return 2
    try:
        if faults := service_faults(scenario):
            print(located_error(path, faults), file=sys.stderr)
            return 2
    except ReaderError as error:
        print(f"The profiles and the routing policy {error}", file=sys.stderr)
        return 1
    for line in notices(Path.cwd()):
        print(line, file=sys.stderr)
    print("Starting:", end="", flush=True)

    def make() -> Stack:
        stack = stack_for(scenario, folder)
        stack.progress = show_ready
        return stack

    try:
        with running(make(), make) as stack:
            print(flush=True)
            prepare(stack, scenario.stack)
            for other in scenario.other_calls:
                place_other(stack, other)
            return run_call(stack, scenario, out, play=play)
    except RefusedSettingsError as error:
        if of_scenario := refused_parts(scenario, error.problems):
            print(f"\n{located_error(path, of_scenario)}", file=sys.stderr)
            return 2
        print(f"\nThe demo could not run: {error}", file=sys.stderr)
        return 1
    except (StackError, NoRedisError, WireError) as error:
        print(f"\nThe demo could not run: {error}", file=sys.stderr)
        return 1


def call_running_stack(
    scenario_path: Path, folder: Path, out: Path, *, play: bool = False, only_here: bool = False
) -> int:
    """Place one call on a running stack of `lab up` or Docker Compose. `only_here`: use only the stack of `folder`."""
    scenario = _read(_path_of(scenario_path))
    if scenario is None:
        return 2
    if scenario.stack != ScenarioStack() or scenario.other_calls:
        print(f"{scenario_path} needs a stack of its own (`stack`); use `lab demo`.", file=sys.stderr)
        return 2
    ports = Ports()
    stack = load_stack(folder) if only_here else find_stack(folder, ports)
    if stack is None:
        print(_no_stack(folder, ports) if only_here else f"No stack is running. {_START}", file=sys.stderr)
        return 2
    if stack.folder.absolute() != folder.absolute() or load_stack(folder) is None:
        whose = f"the stack of {stack.folder}" if load_stack(stack.folder) else "the stack on the documented ports"
        print(f"Calling {whose} ({stack.url('acs')}).", flush=True)
    if missing := not_ready(stack):
        print(f"The stack is running only in part; not ready: {', '.join(missing)}.", file=sys.stderr)
        print(f"Logs: {stack.folder}. `lab --folder {stack.folder} down` stops the rest.", file=sys.stderr)
        return 1
    try:
        return run_call(stack, scenario, out, play=play)
    except (StackError, WireError) as error:
        print(f"\nThe call could not be made: {error}", file=sys.stderr)
        return 1


def _no_stack(folder: Path, ports: Ports) -> str:
    """Return an error message. If another stack is running, the message contains the command that calls it."""
    there = stack_folder(ports)
    if there is not None and load_stack(there) is not None:
        return (
            f"No stack of {folder} is running. The stack of {there} is running; `{lab_command(there)} call` calls it."
        )
    if stack_on_ports(folder, ports) is not None:
        return (
            f"No stack of {folder} is running. One runs on the documented ports; `{lab_command(None)} call` calls it."
        )
    return f"No stack of {folder} is running. {_START}"


def _path_of(path: Path) -> Path:
    """Return the path of a scenario, which may be given by its name if it is built in."""
    by_name = path.name == str(path) and not path.exists()
    return BUILT_IN.get(path.stem, path) if by_name else path


def _read(path: Path) -> Scenario | None:
    """Load the scenario. If invalid, print why and return None."""
    try:
        return load_scenario(path)
    except OSError as error:
        names = f" The built-in scenarios are {', '.join(BUILT_IN)}." if isinstance(error, FileNotFoundError) else ""
        print(f"The scenario {path} cannot be read: {error.strerror or error}.{names}", file=sys.stderr)
    except ScenarioError as error:
        print(error, file=sys.stderr)
    return None


def run_call(stack: Stack, scenario: Scenario, out: Path, *, play: bool, limit_s: float = _CALL_TIMEOUT_S) -> int:
    """Place the call and report on it. A call that does not end within `limit_s` is hung up, and fails the demo."""
    before = MetricsBefore.read(stack)
    call = place_call(stack, scenario)
    print(f"Calling, scenario “{scenario.name}”. Times are in seconds since the phone began to ring:\n")
    if endless := not _follow(stack, call, limit_s):
        print(f"\nThe call did not end within {limit_s:g} s; hanging up.", file=sys.stderr, flush=True)
        call_json("POST", f"{stack.url('acs')}/lab/calls/{call.lab_id}/hangup", {})
        _follow(stack, call, _HANG_UP_S)
    print("\nChecking what was heard …", flush=True)
    report = report_on(call, scenario, out, before)
    if endless:
        ends = CallCheck("the call ends by itself", False, f"it was hung up after {limit_s:g} s")
        report = replace(report, checks=(*report.checks, ends))
    if report.unanswered:
        print(f"\n{report.unanswered}", file=sys.stderr)
        return 1
    if before.other_calls:
        print("Other calls were running; the services' metrics were not checked.", file=sys.stderr)
    print("\n".join(report.lines()))
    if report.record:
        print(f"\n  call_id in the operator API: {report.record['call_id']}; id in the simulated ACS: {call.lab_id}")
    if play and report.wav_path:
        _play(report.wav_path)
    if report.broken:
        print(f"\n{len(report.broken)} of {len(report.checks)} checks failed. Logs: {stack.folder}", file=sys.stderr)
        for process in stack.dead():
            print(f"{process.name} exited unexpectedly:\n{process.log_tail()}", file=sys.stderr)
        return 1
    print(f"\nAll {len(report.checks)} checks passed.")
    return 0


def _follow(stack: Stack, call: ObservedCall, limit_s: float) -> bool:
    """Print the call as it happens. Return whether it ended in time."""
    deadline = time.monotonic() + limit_s
    while not call.finished:
        if time.monotonic() > deadline:
            return False
        if stack.dead():
            raise StackError(f"{stack.dead()[0].name} exited during the call:\n{stack.dead()[0].log_tail()}")
        time.sleep(0.1)
        call.poll()
        for side, event in call.new_events():
            line = format_event(side, event)
            if line:
                print(f"  {event['t'] - (call.rang_at or event['t']):7.3f}  {line}", flush=True)
    return True


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
