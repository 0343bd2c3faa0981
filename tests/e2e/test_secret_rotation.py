"""Secrets are rotated while calls run: no call is lost and no audio frame is missing.

The secrets are files, mounted as the kubelet mounts them, one folder for each service. Only the simulated Azure and its
callers notice the keys: Voice Live has two, as in Azure, and Event Grid is given another webhook URL.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from websockets.asyncio.client import connect

from bridge_common.base.errors import AuthError
from bridge_common.wire import media_token
from lab.observed_call import FINISHED
from lab.stack import AGENT_TOOLS_KEY, API_KEY, EVENT_GRID_SECRET, MEDIA_TOKEN_KEY, Ports, Stack, running
from lab.traffic import await_talking, collect, directions, hang_up, place_calls
from lab.voice_live.settings import DEFAULT_API_KEY
from lab.wire import Json, call_json
from tests.support.eventually import eventually
from tests.support.mounted_secrets import MountedSecrets

NEW = "a-new-key-of-the-rotation-test"
FURTHER = "a-key-of-the-further-resource"
EDGE_S = 0.5
ENTRY_S = 20
SERVICES = ("call-control", "media-gateway", "agent-relay")


class Site:
    """The stack, its mounted secrets and clients of each kind."""

    def __init__(self, stack: Stack, mounts: dict[str, MountedSecrets]) -> None:
        self.stack = stack
        self.mounts = mounts
        self.http = httpx.Client(trust_env=False, timeout=30)

    async def change(self, service: str, **contents: str) -> None:
        """Replace files, and wait until the service has logged each of them as adopted, with its number of keys."""
        before = len(self.lines(service, "secrets reloaded"))
        self.mounts[service].change(**contents)
        wanted = {f"{name.upper()}={text.count(',') + 1}" for name, text in contents.items()}

        def adopted() -> bool:
            return any(
                wanted <= {*row["changed"].split(", ")} for row in self.lines(service, "secrets reloaded")[before:]
            )

        await eventually(adopted, within_s=ENTRY_S, every_s=0.1, what=f"{service} adopts {sorted(wanted)}")

    def lines(self, service: str, message: str) -> list[Json]:
        text = (self.stack.folder / f"{service}.log").read_text()
        rows = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
        return [row for row in rows if row["message"] == message]

    def metric(self, service: str, series: str) -> float:
        text = self.http.get(f"{self.stack.url(service)}/metrics").text
        found = [line for line in text.splitlines() if line.startswith(f"{series} ")]
        return float(found[0].split()[-1]) if found else 0.0

    def operator(self, key: str) -> int:
        return self.http.get(f"{self.stack.url('call-control')}/api/calls", headers={"X-Api-Key": key}).status_code

    def agent(self, key: str) -> int:
        url = f"{self.stack.url('call-control')}/agent/tools/add_note"
        return self.http.post(url, headers={"X-Api-Key": key}, json={"call": "none", "text": "x"}).status_code

    def webhook(self, secret: str) -> int:
        url = f"{self.stack.url('call-control')}/api/incomingCall"
        data = {"validationCode": "1", "validationUrl": "https://eventgrid.azure.net/validate"}
        kind = "Microsoft.EventGrid.SubscriptionValidationEvent"
        event = {"id": "1", "topic": "t", "subject": "", "eventType": kind, "data": data, "dataVersion": "1"}
        times = {"eventTime": "2026-11-30T12:00:00Z", "metadataVersion": "1"}
        return self.http.post(url, params={"code": secret}, json=[event | times]).status_code

    def media_url(self, lab_id: str) -> Json:
        found: Json = call_json("GET", f"{self.stack.url('acs')}/lab/calls/{lab_id}/media")
        return found

    def signed_with(self, lab_id: str, key: str) -> bool:
        *_, call_id, token = self.media_url(lab_id)["url"].split("/")
        try:
            media_token.check([key], call_id, token, time.time())
        except AuthError:
            return False
        return True

    async def open_again(self, lab_id: str) -> int:
        """Open the media URL of a call once more, as ACS does after a lost connection. Returns the close code, 0 if the
        socket is accepted.
        """
        before = self.metric("media-gateway", 'bridge_gateway_attaches_total{kind="again"}')
        media = self.media_url(lab_id)
        async with connect(media["url"], additional_headers=media["headers"], proxy=None) as socket:
            closed = asyncio.create_task(socket.wait_closed())

            def judged() -> bool:
                again = self.metric("media-gateway", 'bridge_gateway_attaches_total{kind="again"}')
                return closed.done() or again > before

            await eventually(judged, within_s=10, every_s=0.05, what="the gateway judges the token")
            if closed.done():
                return socket.close_code or 0
            closed.cancel()
            return 0

    async def talks(self, number: int) -> str:
        """Place a call, and wait until its caller hears the agent. Returns its id in the simulated ACS."""
        placed = place_calls(self.stack, [number])
        assert await asyncio.to_thread(await_talking, self.stack, placed) == 1
        return placed[number]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    mounts = {service: MountedSecrets(tmp_path / f"secrets-{service}") for service in SERVICES}
    mounts["call-control"].write(
        {
            "API_KEYS": API_KEY,
            "media-token-keys": MEDIA_TOKEN_KEY,
            "event-grid-secrets": EVENT_GRID_SECRET,
            "agent-tools-keys": AGENT_TOOLS_KEY,
        }
    )
    mounts["media-gateway"].write({"MEDIA_TOKEN_KEYS": MEDIA_TOKEN_KEY})
    mounts["agent-relay"].write(
        {"azure-voice-live-api-key": DEFAULT_API_KEY, "AZURE_VOICE_LIVE_FURTHER_API_KEYS": FURTHER}
    )
    ports = Ports.free()
    extra = {service: {"SECRETS_DIR": str(mount.folder)} for service, mount in mounts.items()}
    extra["agent-relay"] |= {
        "VOICE_LIVE_MODEL": "gpt-4o",
        "AGENT_NAME": "",
        "AGENT_PROJECT_NAME": "",
        "AZURE_VOICE_LIVE_FURTHER_ENDPOINTS": f"http://localhost:{ports.voice_live}",
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("REDIS_URL", raising=False)
        with running(Stack(ports, tmp_path / "stack", extra)) as stack:
            call_json("PUT", f"{stack.url('voice-live')}/lab/agent", {"mode": "marks"})
            site = Site(stack, mounts)
            yield site
            site.http.close()
            calls = call_json("GET", f"{stack.url('acs')}/lab/calls")["calls"]
            hang_up(stack, dict(enumerate(row["id"] for row in calls if row["state"] not in FINISHED)))
            assert stack.dead() == []


@pytest.mark.timeout(180)
async def test_every_secret_is_rotated_while_calls_run(site: Site) -> None:
    stack, change = site.stack, site.change
    measured = place_calls(stack, [1, 2, 3, 4])
    assert await asyncio.to_thread(await_talking, stack, measured) == 4
    began = time.monotonic()
    spare = await site.talks(5)

    # Keys of media tokens: gateways accept the new key before call-control signs with it.
    await change("media-gateway", media_token_keys=f"{MEDIA_TOKEN_KEY},{NEW}")
    await change("call-control", media_token_keys=f"{NEW},{MEDIA_TOKEN_KEY}")
    newer = await site.talks(6)
    assert (site.signed_with(spare, MEDIA_TOKEN_KEY), site.signed_with(newer, NEW)) == (True, True)
    assert await site.open_again(spare) == 0, "the token of the old key is still accepted"

    # Secrets of call-control: the new one beside the old one, then the clients, then the old one is removed.
    both = {"api_keys": API_KEY, "event_grid_secrets": EVENT_GRID_SECRET, "agent_tools_keys": AGENT_TOOLS_KEY}
    await change("call-control", **{name: f"{old},{NEW}" for name, old in both.items()})
    assert (site.operator(API_KEY), site.operator(NEW)) == (200, 200)
    assert (site.webhook(EVENT_GRID_SECRET), site.webhook(NEW)) == (200, 200)
    assert (site.agent(AGENT_TOOLS_KEY), site.agent(NEW)) == (200, 200)
    call_json("POST", f"{stack.url('acs')}/lab/subscribe", {"secret": NEW})
    await change("call-control", **dict.fromkeys(both, NEW), media_token_keys=NEW)
    assert (site.operator(API_KEY), site.operator(NEW)) == (401, 200)
    assert (site.webhook(EVENT_GRID_SECRET), site.webhook(NEW)) == (401, 200)
    assert (site.agent(AGENT_TOOLS_KEY), site.agent(NEW)) == (401, 200)
    await site.talks(7)

    # The old key of media tokens is removed: open sockets stay, and a URL with an old token is refused.
    await change("media-gateway", media_token_keys=NEW)
    assert await site.open_again(spare) == 1008
    assert await site.open_again(newer) == 0

    # Keys of Voice Live: the relay uses the second key, then the first one is regenerated.
    voice = stack.url("voice-live")
    call_json("PUT", f"{voice}/lab/api-keys", {"api_keys": [DEFAULT_API_KEY, NEW]})
    await change("agent-relay", azure_voice_live_api_key=NEW, azure_voice_live_further_api_keys=f"{FURTHER}-2")
    call_json("PUT", f"{voice}/lab/api-keys", {"api_keys": ["the-regenerated-first-key", NEW]})
    refused = len(call_json("GET", f"{voice}/lab/handshakes")["refused"])
    await site.talks(8)
    session = call_json("GET", f"{voice}/lab/sessions")["sessions"][-1]
    call_json("POST", f"{voice}/lab/sessions/{session['id']}/drop")
    sessions = len(call_json("GET", f"{voice}/lab/sessions")["sessions"])

    def restored() -> bool:
        return len(call_json("GET", f"{voice}/lab/sessions")["sessions"]) > sessions

    await eventually(restored, within_s=20, every_s=0.1, what="the dropped session is restored with the new key")
    assert len(call_json("GET", f"{voice}/lab/handshakes")["refused"]) == refused

    window = (began + EDGE_S, time.monotonic() - EDGE_S)
    hang_up(stack, measured)
    uplink, downlink = directions(collect(stack, measured), window)
    assert (uplink.clean, downlink.clean) == (True, True), (uplink.as_row(), downlink.as_row())
    assert uplink.sent > 4 * 45 * (window[1] - window[0])
    assert all(site.metric(service, "bridge_secrets_last_reload_successful") == 1 for service in SERVICES)


@pytest.mark.timeout(120)
async def test_mistakes_of_a_rotation_are_reported_and_repaired_without_a_restart(site: Site) -> None:
    """A key that is too short changes nothing. Call-control that signs with a key before the gateways have it: the
    caller waits without audio until they do.
    """
    site.mounts["call-control"].change(api_keys="short")
    message = "secrets not reloaded; keeping the current ones"
    await eventually(lambda: site.lines("call-control", message), within_s=ENTRY_S, every_s=0.1, what="the mistake")
    [line] = site.lines("call-control", message)
    assert "API_KEYS" in line["reason"]
    assert f"{site.mounts['call-control'].folder}/API_KEYS" in line["reason"]
    assert "fewer than 16 characters" in line["reason"]
    assert site.metric("call-control", "bridge_secrets_last_reload_successful") == 0
    assert site.operator(API_KEY) == 200
    await site.change("call-control", api_keys=NEW)
    assert (site.operator(API_KEY), site.operator(NEW)) == (401, 200)
    assert len(site.lines("call-control", message)) == 1

    await site.change("call-control", media_token_keys=f"{NEW},{MEDIA_TOKEN_KEY}")
    early = place_calls(site.stack, [1])

    def refused() -> bool:
        return site.metric("media-gateway", 'bridge_gateway_sockets_total{code="1008"}') > 0

    await eventually(refused, within_s=20, every_s=0.1, what="the gateway refuses the token of the unknown key")
    await site.change("media-gateway", media_token_keys=f"{NEW},{MEDIA_TOKEN_KEY}")
    assert await asyncio.to_thread(await_talking, site.stack, early) == 1
