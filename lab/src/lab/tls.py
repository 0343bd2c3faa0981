"""TLS for the simulators, so that clients that require `https` and `wss` can connect without changes.

The certificate authority is created on first use and stored in a folder. Simulators that share the folder share the
authority, so an application has to trust a single file. It is for tests only: its key is in the same folder.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import ssl
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import trustme
import uvicorn

FOLDER: Final = Path(".lab/tls")
LOCAL_NAMES: Final = ("localhost", "127.0.0.1", "::1")
_ORGANIZATION: Final = "Simulators of one machine, for tests only"


@dataclass(frozen=True)
class Tls:
    """TLS configuration of a server. `ca`: absolute path of the certificate of the authority (PEM)."""

    ca: Path
    context: ssl.SSLContext

    def context_factory(self, _config: uvicorn.Config, _default: Callable[[], ssl.SSLContext]) -> ssl.SSLContext:
        return self.context

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables that make Python (ssl, httpx, requests) and Node.js trust the authority."""
        return dict.fromkeys(("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS"), str(self.ca))

    def instructions(self) -> str:
        exports = "\n".join(f"  export {name}={path}" for name, path in self.environment.items())
        return f"TLS is enabled. Export these variables for the application, so that it trusts {self.ca}:\n{exports}"


def add_tls_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--tls", action="store_true", help="serve https and wss, with a certificate of a local authority"
    )
    parser.add_argument(
        "--tls-folder",
        type=Path,
        default=FOLDER,
        metavar="DIR",
        help=f"folder of the authority; simulators with the same folder share it (default: {FOLDER})",
    )
    parser.add_argument(
        "--tls-name",
        action="append",
        default=[],
        metavar="NAME",
        help=f"additional host name or address of the certificate, besides {', '.join(LOCAL_NAMES)}; can be repeated",
    )


def tls_from(options: argparse.Namespace) -> Tls | None:
    """Set up TLS and print the variables to export. Return `None` without `--tls`. Raises `OSError`."""
    if not options.tls:
        return None
    tls = server_tls(options.tls_folder, options.tls_name)
    print(tls.instructions(), flush=True)
    return tls


def server_tls(folder: Path, names: Iterable[str] = ()) -> Tls:
    """Issue a server certificate for `names` and this machine, with the authority in `folder`.

    Raises `OSError` if the folder cannot be written.
    """
    path = folder.resolve() / "ca.pem"
    with _locked(folder):
        authority = _authority(path, folder / "ca-key.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*dict.fromkeys((*LOCAL_NAMES, *names))).configure_cert(context)
    return Tls(path, context)


def _authority(certificate: Path, key: Path) -> trustme.CA:
    if certificate.exists() and key.exists():
        return trustme.CA.from_pem(certificate.read_bytes(), key.read_bytes())
    authority = trustme.CA(organization_name=_ORGANIZATION)
    key.touch(mode=0o600)
    key.write_bytes(authority.private_key_pem.bytes())
    certificate.write_bytes(authority.cert_pem.bytes())
    return authority


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Lock the folder, so that simulators that start at the same time create only one authority."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)
