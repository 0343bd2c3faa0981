"""`lab`: runs the simulators or the whole stack, a demo call, a load test, or fault injection during calls."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path

from lab.exported import notices
from lab.kept_stack import addresses, delete_state, lab_command, save_stack, stop_stored_stack, stored_processes
from lab.redis_server import NoRedisError
from lab.scenario import BUILT_IN
from lab.stack import API_KEY, SERVICES, Ports, Stack, StackError, show_ready, stack_folder, started

FOLDER = Path(".lab")
RESULTS = Path("out/chaos.json")
SIMULATORS = {
    "acs": "run the simulated ACS",
    "voice-live": "run the simulated Voice Live",
    "identity": "run the simulated managed identity",
    "business": "run a small business with an HTTP API for function tools",
}


def _interruptible(command: Callable[[Sequence[str] | None], int]) -> Callable[[Sequence[str] | None], int]:
    """End the command with exit code 130 and without a traceback after Ctrl-C."""

    def run(argv: Sequence[str] | None = None) -> int:
        try:
            return command(argv)
        except KeyboardInterrupt:
            return 130

    return run


@_interruptible
def main(argv: Sequence[str] | None = None) -> int:
    """Run the command. Return the exit code: 0 for success, 1 for a failure, 2 for a wrong command line or setting."""
    parser = _parser()
    arguments, others = parser.parse_known_args(argv)
    if others and arguments.command not in SIMULATORS:
        parser.error(f"unrecognized arguments: {' '.join(others)}")
    folder = arguments.folder or FOLDER
    # Imported only here: simulators do not need these modules and must start fast.
    if arguments.command == "acs":
        from lab.acs.app import main as acs_main

        return acs_main(others)
    if arguments.command == "voice-live":
        from lab.voice_live.app import main as voice_live_main

        return voice_live_main(others)
    if arguments.command == "identity":
        from lab.identity import main as identity_main

        return identity_main(others)
    if arguments.command == "business":
        from lab.business import main as business_main

        return business_main(others)
    if arguments.command in ("demo", "call"):
        from lab.demo import DEFAULT_SCENARIO, call_running_stack, demo

        scenario = arguments.scenario or DEFAULT_SCENARIO
        if arguments.command == "call":
            only = arguments.folder is not None
            return call_running_stack(scenario, folder, arguments.out, play=arguments.play, only_here=only)
        return demo(scenario, folder / "demo", arguments.out, play=arguments.play)
    if arguments.command == "check":
        from lab.check_files import check_files

        return check_files(arguments.files)
    if arguments.command == "load" and arguments.transfers:
        from lab.transfer_load import transfer_load

        return transfer_load(arguments.calls, arguments.per_s, folder / "load", json_path=arguments.json)
    if arguments.command == "load":
        from lab.load import load

        return load(
            arguments.calls,
            arguments.seconds,
            folder / "load",
            json_path=arguments.json,
            metrics_path=arguments.record_metrics,
        )
    if arguments.command == "chaos":
        from lab.chaos.chaos import chaos, write_page

        if arguments.write_results:
            return write_page(arguments.json or RESULTS)
        return chaos(
            arguments.rows,
            folder / "chaos",
            calls=arguments.calls,
            repeats=arguments.repeats,
            json_path=arguments.json,
            quick=arguments.quick,
            metrics_path=arguments.record_metrics,
        )
    if arguments.command == "upgrade":
        from lab.chaos.upgrade import upgrade

        rows, calls = arguments.rows, arguments.calls
        return upgrade(arguments.scripts, folder / "upgrade", calls=calls, rows=rows, json_path=arguments.json)
    if arguments.command == "lint-tools":
        from lab.tool_lint import lint_files

        return lint_files(arguments.files)
    if arguments.command == "replica":
        from lab.replica import replica

        return replica(folder, arguments.service)
    if arguments.command == "up":
        return _up(folder, free_ports=arguments.free_ports)
    return _down(folder)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="lab", description=__doc__)
    parser.add_argument("--version", action="version", version=f"lab {version('lab')}")
    parser.add_argument(
        "--folder", type=Path, help="folder of the logs (default: .lab); for `call`, the folder of the stack to call"
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for simulator, about in SIMULATORS.items():
        # Each simulator has its own parser, which lists its settings.
        commands.add_parser(simulator, help=f"{about}; `lab {simulator} --help` lists its settings", add_help=False)
    up = commands.add_parser("up", help="start the whole stack and leave it running")
    up.add_argument("--free-ports", action="store_true", help="use free ports instead of the documented ones")
    commands.add_parser("down", help="stop the stack that `up` started")
    replica = commands.add_parser(
        "replica", help="start a second process of a service on the stack of `up`, or its process that has exited"
    )
    replica.add_argument("service", choices=SERVICES)
    names = ", ".join(BUILT_IN)
    for name, about in (
        ("demo", "start a stack, place and check one call, then stop the stack"),
        ("call", "place one call on a running stack"),
    ):
        command = commands.add_parser(name, help=about)
        command.add_argument(
            "scenario", type=Path, nargs="?", help=f"a scenario file, or the name of a built-in one: {names}"
        )
        command.add_argument("--out", type=Path, default=Path("out"), help="folder for the WAV file and the transcript")
        command.add_argument("--play", action="store_true", help="play the recording afterwards")
    check = commands.add_parser("check", help="check agent profiles, a routing policy and scenarios, without a stack")
    check.add_argument(
        "files",
        type=Path,
        nargs="+",
        help="files for AGENT_PROFILES_FILE and ROUTING_POLICY, and scenarios, in any order",
    )
    load = commands.add_parser("load", help="place many concurrent calls and check their audio frame by frame")
    load.add_argument("--calls", type=int, default=20)
    load.add_argument("--seconds", type=float, default=30.0)
    load.add_argument(
        "--transfers",
        action="store_true",
        help="instead: calls under a routing policy, half of the agent's calls transferred",
    )
    load.add_argument("--per-s", type=float, default=8.0, help="with --transfers: new calls a second (default: 8)")
    load.add_argument("--json", type=Path, help="also write the figures to this file")
    chaos = commands.add_parser(
        "chaos", help="inject faults during calls and check the effect on callers against limits"
    )
    chaos.add_argument("--rows", default="", help="comma-separated names of rows (default: all)")
    chaos.add_argument("--calls", type=int, default=20)
    chaos.add_argument("--repeats", type=int, default=5)
    chaos.add_argument(
        "--quick", action="store_true", help="run only the few rows that are most likely to show a regression"
    )
    chaos.add_argument(
        "--json", type=Path, help="also store the figures in this file; figures of other rows are preserved"
    )
    chaos.add_argument(
        "--write-results", action="store_true", help="generate the table of docs/resilience.md from the stored figures"
    )
    upgrade = commands.add_parser(
        "upgrade", help="replace the services of another release by those of this one during calls, and back"
    )
    upgrade.add_argument("scripts", type=Path, help="folder with the programs of the other release")
    upgrade.add_argument("--calls", type=int, default=20)
    upgrade.add_argument("--rows", default="", help="comma-separated names of rows (default: all)")
    upgrade.add_argument("--json", type=Path, help="also write the figures to this file")
    for command in (load, chaos):
        command.add_argument(
            "--record-metrics",
            type=Path,
            metavar="FILE",
            help="also record the metrics of all services, in the OpenMetrics format; compressed if FILE ends with .gz",
        )
    lint = commands.add_parser(
        "lint-tools", help="check whether Foundry accepts an OpenAPI document or the tools of an MCP server"
    )
    lint.add_argument("files", type=Path, nargs="+", help="JSON or YAML; - for standard input")
    return parser


def _up(folder: Path, *, free_ports: bool) -> int:
    running, gone = stored_processes(folder)
    if running:
        state = (
            f"is running only in part: {', '.join(gone)} exited unexpectedly (logs: {folder})"
            if gone
            else "is already running"
        )
        print(f"The stack of {folder} {state}. `{_command(folder)} down` stops it.", file=sys.stderr)
        return 1
    delete_state(folder)
    for line in notices(Path.cwd()):
        print(line, file=sys.stderr)
    print("Starting:", end="", flush=True)

    def on_free_ports() -> Stack:
        return Stack(Ports.free(), folder, progress=show_ready)

    try:
        if free_ports:
            stack = started(on_free_ports(), on_free_ports)
        else:
            stack = started(Stack(Ports(), folder, progress=show_ready))
    except (StackError, NoRedisError) as error:
        print(f"\nThe stack could not start: {error}", file=sys.stderr)
        return 1
    ports = stack.ports
    save_stack(stack)
    stack.keep()
    print(
        f"""
The stack is up. Logs are in {folder}/.
  call it:       {_command(folder)} call
  with curl:     curl -d '{{"from": "+14255550100", "to": "+18005551212"}}' http://127.0.0.1:{ports.acs}/lab/calls
  see the calls: curl -H 'X-Api-Key: {API_KEY}' http://127.0.0.1:{ports.call_control}/api/calls
  stop it:       {_command(folder)} down
  more:          docs/lab.md (scenarios, faults, settings)

"""
        + "\n".join(f"  {line}" for line in addresses(stack))
    )
    return 0


def _down(folder: Path) -> int:
    if stored_processes(folder)[0]:
        print("Stopping …", flush=True)
    stopped = stop_stored_stack(folder)
    if stopped:
        print(f"Stopped {', '.join(stopped)}.")
        return 0
    there = stack_folder(Ports())
    if there is None or there == folder.absolute():
        print("No stack was running.")
        return 0
    print(
        f"No stack was running in this folder. The stack of {there} is running; `{_command(there)} down` stops it.",
        file=sys.stderr,
    )
    return 1


def _command(folder: Path) -> str:
    return lab_command(None if folder == FOLDER else folder)
