"""The command line that the three simulators share: TLS, and a `--help` that lists all settings."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from lab.environment import settings_help
from lab.tls import add_tls_options

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


def simulator_parser(command: str, about: str, settings: type[DataclassInstance]) -> argparse.ArgumentParser:
    """`command`: as in `lab COMMAND`."""
    parser = argparse.ArgumentParser(
        prog=f"lab {command}",
        description=about,
        epilog=settings_help(settings),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_tls_options(parser)
    return parser
