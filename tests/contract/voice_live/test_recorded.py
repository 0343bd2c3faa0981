"""Compares the simulator with recorded sessions of the real services: the same events, order, keys and values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from lab.speech import synthesize
from lab.voice_live.app import server_config
from lab.voice_live.server_events import Event
from lab.voice_live.settings import VoiceLiveSettings
from tests.support.lab_server import running
from tests.support.voice_live_stage import RawClient, part, raw_client, silence

RECORDED: dict[str, Any] = yaml.safe_load(Path(__file__).with_name("recorded.yaml").read_text(encoding="utf-8"))
SETTINGS = VoiceLiveSettings(port=0, session_setup_s=0.0, reply_delay_s=0.0, speed=0.0)
CREATED = ("conversation.item.created", "conversation.item.added")


async def replay(session: Mapping[str, Any]) -> list[Event]:
    """Send the messages of the recorded client. Return all received events."""
    path = RECORDED["pipelines"][session["pipeline"]]["path"]
    async with running(server_config(SETTINGS)) as address:
        async with httpx.AsyncClient(base_url=f"http://{address}") as lab:
            (await lab.put("/lab/agent", json=session.get("agent", {}))).raise_for_status()
        async with raw_client(address, session["query"], path=path) as client:
            await client.until("session.created")
            for step in session["client"]:
                await act(client, step)
            return client.seen


async def act(client: RawClient, step: Mapping[str, Any]) -> None:
    if "until" in step:
        await client.until(step["until"])
    elif "hear" in step:
        await client.hear(silence(500) + synthesize(step["hear"], 24_000) + silence(800))
    elif "answer_call" in step:
        call = next(one for one in client.seen if one["type"] == "response.function_call_arguments.done")
        output = {"type": "function_call_output", "call_id": call["call_id"], "output": step["answer_call"]}
        await client.tell(type="conversation.item.create", item=output)
    else:
        await client.tell(**step)


def keys(value: object, path: str) -> Iterator[str]:
    """Return the paths of all leaves. Empty containers and free-form fields count as leaves."""
    if isinstance(value, Mapping) and value and not path.endswith((".parameters", ".metadata")):
        for key, inner in value.items():
            yield from keys(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list) and any(isinstance(inner, Mapping) for inner in value):
        for inner in value:
            yield from keys(inner, f"{path}[]")
    else:
        yield path


def value_at(event: Event, path: str) -> object:
    try:
        return part(event, *path.split("."))
    except KeyError:
        return "absent"


def shown_previous(event: Event) -> object:
    """Replace ids that the service generates, because they differ in each run."""
    previous = event["previous_item_id"]
    return "item" if isinstance(previous, str) and previous.startswith(("item_", "msg_")) else previous


@pytest.mark.parametrize("name", RECORDED["sessions"])
async def test_the_simulator_sends_the_recorded_events(name: str) -> None:
    session = RECORDED["sessions"][name]
    seen = await replay(session)
    deltas = set(session["deltas"])
    assert [one["type"] for one in seen if one["type"] not in deltas] == session["order"]
    assert {one["type"] for one in seen} - set(session["order"]) == deltas
    assert [shown_previous(one) for one in seen if one["type"] in CREATED] == session["previous"]
    recorded = RECORDED["pipelines"][session["pipeline"]]["keys"]
    for event in seen:
        known = str(recorded[event["type"]]).split()
        needed = {key for key in known if not key.endswith("?")}
        sent = set(keys(event, "")) - {"event_id", "type"}
        assert needed - sent == set(), f"missing in {event['type']}"
        assert sent - {key.removesuffix("?") for key in known} == set(), f"unknown in {event['type']}"


@pytest.mark.parametrize("name", [name for name, session in RECORDED["sessions"].items() if "values" in session])
async def test_the_first_event_of_a_kind_has_the_recorded_values(name: str) -> None:
    session = RECORDED["sessions"][name]
    seen = await replay(session)
    for kind, values in session["values"].items():
        event = next(one for one in seen if one["type"] == kind)
        assert {path: value_at(event, path) for path in values} == values, kind
