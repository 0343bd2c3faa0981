"""MCP servers of an agent profile. Voice Live connects to them; the relay only decides about approvals."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, field_validator, model_validator

from agent_relay.core.protocol.profile_fields import FunctionName
from agent_relay.core.protocol.tool_profile import Headers, SecretRef, checked_headers, header_value

Approval = Literal["always", "never"]
ToolName = Annotated[str, Field(min_length=1, max_length=128)]


class McpServer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    label: FunctionName
    url: Annotated[str, Field(max_length=2048)]
    allowed_tools: Annotated[tuple[ToolName, ...], Field(min_length=1, max_length=128)] | None = None
    """None: all tools of the server."""
    require_approval: Annotated[
        Annotated[Approval, Tag("<all>")] | Annotated[dict[ToolName, Approval], Tag("<each>")],
        Discriminator(lambda value: "<each>" if isinstance(value, Mapping) else "<all>"),
    ] = "always"
    """Whether Voice Live asks before it calls a tool. Tools that the mapping does not name are `always`."""
    approve: tuple[ToolName, ...] = ()
    """Tools whose calls the relay approves. It refuses all others for which Voice Live asks."""
    authorization: SecretRef | None = None
    headers: Headers = Field(default_factory=dict)

    @field_validator("headers")
    @classmethod
    def _header_names(cls, value: Headers) -> Headers:
        return checked_headers(value)

    @model_validator(mode="after")
    def _fits(self) -> McpServer:
        if faults := list(self._faults()):
            raise ValueError("; ".join(faults))
        return self

    def _faults(self) -> Iterator[str]:
        parts = urlsplit(self.url)
        if parts.scheme not in ("https", "http") or not parts.hostname or "@" in parts.netloc or parts.fragment:
            yield "url must be an http:// or https:// URL with a host, without user name and fragment"
        named = self.require_approval if isinstance(self.require_approval, dict) else {}
        if self.allowed_tools is not None and (unknown := sorted({*named, *self.approve} - set(self.allowed_tools))):
            yield f"names tools that are missing in `allowed_tools`: {', '.join(unknown)}"
        if unasked := [name for name in self.approve if not self.asks(name)]:
            yield f"`approve` has no effect for tools with `require_approval: never`: {', '.join(unasked)}; remove them"

    def asks(self, tool: str) -> bool:
        """Return whether Voice Live asks for approval before it calls the tool."""
        rule = self.require_approval
        return (rule if isinstance(rule, str) else rule.get(tool, "always")) == "always"

    def may_run(self, tool: str) -> bool:
        return tool in self.approve or not self.asks(tool)

    @property
    def host(self) -> str:
        return (urlsplit(self.url).hostname or "").lower()

    @property
    def secrets(self) -> Iterator[str]:
        """Names of the environment variables that the server needs."""
        contents = (self.authorization, *self.headers.values())
        yield from (content.secret for content in contents if isinstance(content, SecretRef))

    def definition(self, secrets: Mapping[str, str]) -> dict[str, Any]:
        """Return the definition for `session.tools` of Voice Live. It contains secrets."""
        found: dict[str, Any] = {"type": "mcp", "server_label": self.label, "server_url": self.url}
        if self.allowed_tools is not None:
            found["allowed_tools"] = list(self.allowed_tools)
        rule = self.require_approval
        if isinstance(rule, dict):
            rules = ("never", "always")
            found["require_approval"] = {one: [name for name in rule if rule[name] == one] for one in rules}
        else:
            found["require_approval"] = rule
        if self.authorization is not None:
            found["authorization"] = header_value(self.authorization, secrets)
        if self.headers:
            found["headers"] = {name: header_value(content, secrets) for name, content in self.headers.items()}
        return found
