"""Reads secrets again while a process runs. A secret with a mistake is not adopted.

The folder is polled: its files are links, so a watch on a file reports no change of its content, and network file
systems report none at all.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, overload

from bridge_common.base.log import fields
from bridge_common.observability import telemetry
from bridge_common.service.insecure import parts_of
from bridge_common.service.secret_files import SecretFiles, read_secret_files, reloaded_names, secret_names
from bridge_common.service.settings import ServiceSettings

log = logging.getLogger(__name__)

EVERY_S: Final = 2.0
RELOADED: Final = telemetry.gauge(
    "bridge_secrets_last_reload_successful", "0 while a file in SECRETS_DIR has a mistake or cannot be read"
)
RELOADED_AT: Final = telemetry.gauge(
    "bridge_secrets_last_change_timestamp_seconds", "Unix time at which the process last adopted secrets"
)


class LiveKeys(Sequence[str]):
    """The keys of one setting, as they are in force when they are read."""

    def __init__(self, secrets: LiveSecrets, name: str) -> None:
        self._secrets = secrets
        self._name = name

    @overload
    def __getitem__(self, index: int) -> str: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[str, ...]: ...

    def __getitem__(self, index: int | slice) -> str | tuple[str, ...]:
        return self._now()[index]

    def __len__(self) -> int:
        return len(self._now())

    def __iter__(self) -> Iterator[str]:
        return iter(self._now())

    def _now(self) -> tuple[str, ...]:
        return tuple(parts_of(self._secrets.text(self._name)))


class LiveSecrets:
    """The secrets of a process that are read again: those of its settings until a file changes."""

    def __init__(self, settings: ServiceSettings, *, every_s: float = EVERY_S) -> None:
        self._settings = settings
        self._every_s = every_s
        given = settings.texts()
        self._reloaded = reloaded_names(type(settings).model_fields)
        self._texts = {name: given.get(name, "") for name in self._reloaded}
        self._fixed = {name: given.get(name, "") for name in secret_names(type(settings).model_fields)} | self._texts
        self._seen: set[str] = set()
        self._fault = ""
        self._restart = ""
        RELOADED.set(1)
        RELOADED_AT.set(time.time())

    def text(self, name: str) -> str:
        """Return the secret in force; "" if it is not set. `name`: of the field."""
        return self._texts[name]

    def keys(self, name: str) -> Sequence[str]:
        """Return the keys of a setting. The sequence changes with the file."""
        return LiveKeys(self, name)

    async def run(self) -> None:
        """Poll the folder, if there is one."""
        while self._settings.secrets_dir is not None:
            await self.look()
            await asyncio.sleep(self._every_s)

    async def look(self) -> None:
        """Read the files, and adopt the secrets that are new and valid."""
        try:
            faults = await asyncio.to_thread(self._adopt)
        except Exception:
            log.exception("reading the secrets failed")
            faults = ["the files could not be read; see the log line before this one"]
        self._note("; ".join(faults))

    def _adopt(self) -> list[str]:
        """Return the faults, each with its setting and file."""
        files = read_secret_files(self._settings.secrets_dir)
        faults = {name: fault for name, fault in files.faults.items() if name in {*self._reloaded, "secrets_dir"}}
        if "secrets_dir" not in faults:
            faults |= dict.fromkeys(self._seen - files.paths.keys(), "the file is missing; the secret stays in force")
        self._seen |= self._reloaded & files.paths.keys()
        new = {n: text for n, text in files.texts.items() if n in self._reloaded and text != self._texts[n]}
        # A secret that is not adopted may make another one invalid.
        while wrong := {name: fault for name, fault in self._mistakes(new) if name in new}:
            faults |= wrong
            new = {name: text for name, text in new.items() if name not in wrong}
        if new:
            self._texts = {**self._texts, **new}
            RELOADED_AT.set(time.time())
            log.info("secrets reloaded", extra=fields(changed=_counts(new)))
        self._note_fixed(files)
        return [f"{files.label(name)}: {fault}" for name, fault in sorted(faults.items())]

    def _mistakes(self, new: Mapping[str, str]) -> Iterator[tuple[str, str]]:
        yield from ((name, "contains no key") for name, text in new.items() if not parts_of(text))
        yield from type(self._settings).mistakes({**self._settings.texts(), **self._texts, **new})

    def _note(self, fault: str) -> None:
        if fault and fault != self._fault:
            log.error("secrets not reloaded; keeping the current ones", extra=fields(reason=fault))
        self._fault = fault
        RELOADED.set(0 if fault else 1)

    def _note_fixed(self, files: SecretFiles) -> None:
        names = self._fixed.keys() - self._reloaded
        changed = sorted(n.upper() for n in names if n in files.texts and files.texts[n] != self._fixed[n])
        text = ", ".join(changed)
        if text and text != self._restart:
            log.warning("changed secrets are read at the next start; restart the service", extra=fields(names=text))
        self._restart = text


def _counts(texts: Mapping[str, str]) -> str:
    """Return the settings with their number of keys."""
    return ", ".join(f"{name.upper()}={len(parts_of(text))}" for name, text in sorted(texts.items()))
