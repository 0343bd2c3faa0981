"""The tables of docs/settings.md, generated from the settings classes and the comments of .env.example.

python -m tests.repo.settings_page    # writes the page again
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from enum import Enum
from pathlib import Path
from typing import Any, Final, Literal, get_args, get_origin

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from agent_relay.settings import RelaySettings
from bridge_common.service.secret_files import RELOADED, is_secret
from bridge_common.service.settings import ServiceSettings
from call_control.settings import CallControlSettings
from media_gateway.settings import GatewaySettings

ROOT: Final = Path(__file__).parents[2]
PAGE_PATH: Final = ROOT / "docs/settings.md"
EXAMPLE_PATH: Final = ROOT / ".env.example"
BEGIN: Final = "<!-- settings: written by `python -m tests.repo.settings_page` -->"
END: Final = "<!-- end of settings -->"
SERVICES: Final[Mapping[str, type[ServiceSettings]]] = {
    "call-control": CallControlSettings,
    "media-gateway": GatewaySettings,
    "agent-relay": RelaySettings,
}
_MODES: Final = ("AGENT_NAME", "AGENT_ID", "VOICE_AGENT_NAME", "VOICE_LIVE_MODEL", "AZURE_OPENAI_DEPLOYMENT")
REQUIRED: Final[Mapping[str, str]] = {
    "ACS_JWT_AUDIENCE": "yes, unless `ACS_JWT_MODE=off`",
    "ACS_CONNECTION_STRING": "yes, or `ACS_ENDPOINT`",
    "ACS_ENDPOINT": "yes, or `ACS_CONNECTION_STRING`",
    "EVENT_GRID_SECRETS": "yes, or `EVENT_GRID_TENANT_ID`",
    "EVENT_GRID_TENANT_ID": "yes, or `EVENT_GRID_SECRETS`",
    "EVENT_GRID_AUDIENCE": "with `EVENT_GRID_TENANT_ID`",
    **{mode: f"yes, or {', '.join(f'`{other}`' for other in _MODES if other != mode)}" for mode in _MODES},
    "AGENT_PROJECT_NAME": "with `AGENT_NAME`, `AGENT_ID`, `VOICE_AGENT_NAME`",
}
"""Requirements that involve several settings. Tests start each service with and without them."""
_SECTION: Final = re.compile(r"^# -{20,} (.+)$")
_SETTING: Final = re.compile(r"^# ([A-Z][A-Z0-9_]+)=")


def with_tables(page: str) -> str:
    """Return the page with the current tables. Raises `ValueError` if the markers are missing."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the markers {BEGIN} and {END} are missing in the page")
    return f"{before}{BEGIN}\n\n{_tables()}\n{END}{after}"


def sections() -> dict[str, dict[str, str]]:
    """Map the title of each part of .env.example to its settings, and each setting to the first sentence of its
    comment.
    """
    found: dict[str, dict[str, str]] = {}
    title, comment = "", list[str]()
    for line in EXAMPLE_PATH.read_text(encoding="utf-8").splitlines():
        if match := _SECTION.match(line):
            title = match[1]
        elif match := _SETTING.match(line):
            found.setdefault(title, {})[match[1]] = _first_sentence(" ".join(comment))
        elif line.startswith("#"):
            comment.append(line.removeprefix("#").strip())
            continue
        comment = []
    return found


def fields_of(name: str) -> dict[str, FieldInfo]:
    """Return the services that read the setting, with their fields."""
    return {
        service: cls.model_fields[name.lower()] for service, cls in SERVICES.items() if name.lower() in cls.model_fields
    }


def default_of(name: str) -> str:
    shown = [_shown(field.default) if not field.is_required() else "" for field in fields_of(name).values()]
    return " / ".join(dict.fromkeys(shown))


def _tables() -> str:
    parts = []
    for title, settings in sections().items():
        rows = [_row(name, text) for name, text in settings.items()]
        if any(map(fields_of, settings)):
            head = "| setting | required | default | values | meaning |\n| --- | --- | --- | --- | --- |"
        else:
            head, rows = (
                "| setting | meaning |\n| --- | --- |",
                [f"| `{name}` | {settings[name]} |" for name in settings],
            )
        parts.append(f"### {title}\n\n{head}\n" + "\n".join(rows) + "\n")
    return "\n".join(parts)


def _row(name: str, text: str) -> str:
    fields = list(fields_of(name).values())
    required = REQUIRED.get(name, "yes" if any(field.is_required() for field in fields) else "")
    default = default_of(name)
    cells = [f"`{name}`", required, f"`{default}`" if default else "", ", ".join(_values(fields)), text]
    return "| " + " | ".join(cells) + " |"


def _values(fields: list[FieldInfo]) -> Iterator[str]:
    """Describe the values that the type of the setting accepts."""
    kind: Any = fields[0].annotation if fields else str
    choices = get_args(kind) if get_origin(kind) is Literal else kind if _is_enum(kind) else ()
    yield from (f"`{_shown(choice)}`" for choice in choices)
    if kind is bool:
        yield "`true`, `false`"
    if is_secret(kind):
        yield "secret"
    if fields and RELOADED in fields[0].metadata:
        yield "reloaded"
    limits = {
        name: getattr(limit, name)
        for field in fields[:1]
        for limit in field.metadata
        for name in ("ge", "gt", "le")
        if getattr(limit, name, None) is not None
    }
    if limits and not choices:
        least = f"above {limits['gt']:g}" if "gt" in limits else f"{limits['ge']:,}"
        yield f"{least} to {limits['le']:,}" if "le" in limits else f"{least} or more"


def _is_enum(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, Enum)


def _shown(value: object) -> str:
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Enum):
        value = value.value
    return "" if value is None or value == () else f"{value:g}" if isinstance(value, float) else str(value)


def _first_sentence(text: str) -> str:
    """Return the first sentence of a comment, with names of settings as code."""
    sentence = re.split(r"\.(?:\s|$)", text)[0].removesuffix(" Forms:")
    return re.sub(r"(?<![`\w])([A-Z][A-Z0-9]*_[A-Z0-9_]+)(?![`\w])", r"`\1`", sentence)


def main() -> None:
    PAGE_PATH.write_text(with_tables(PAGE_PATH.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
