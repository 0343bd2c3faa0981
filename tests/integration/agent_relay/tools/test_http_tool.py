"""Function tools over real HTTP: requests, results, retries, limits."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from agent_relay.core.dialog.typed_digits import MASK, TypedDigits
from agent_relay.core.protocol.tool_profile import HttpTool
from agent_relay.tools.egress import tool_session
from agent_relay.tools.http_tool import HttpToolRunner
from agent_relay.tools.runner import ToolCall
from bridge_common.base.errors import InputError, OutsideError
from tests.support.lab_server import running

SECRETS = {"SHOP_TOKEN": "s3cret", "SHOP_SIGNING": "signing-key"}
SCHEMA = {
    "type": "object",
    "properties": {"order_id": {"type": "string"}, "count": {"type": "integer"}},
    "required": ["order_id"],
    "additionalProperties": False,
}


class Shop:
    """An HTTP server that records requests and sends the responses of the test."""

    def __init__(self) -> None:
        self.address = ""
        self.requests: list[tuple[Request, bytes]] = []
        self.answers: list[Callable[[], Awaitable[Response]]] = []

    async def answer(self, request: Request) -> Response:
        self.requests.append((request, await request.body()))
        return await self.answers.pop(0)() if self.answers else JSONResponse({"status": "shipped"})

    def will(self, *responses: Response) -> None:
        async def given(response: Response) -> Response:
            return response

        self.answers += [lambda response=one: given(response) for one in responses]  # type: ignore[misc]


@pytest.fixture
async def shop() -> AsyncIterator[Shop]:
    found = Shop()
    app = Starlette(routes=[Route("/{rest:path}", found.answer, methods=["GET", "POST", "PUT", "DELETE"])])
    async with running(uvicorn.Config(app, host="127.0.0.1", port=0, lifespan="off", log_config=None)) as address:
        found.address = f"http://{address}"
        yield found


@asynccontextmanager
async def runner(shop: Shop, path: str = "/orders", **changes: Any) -> AsyncIterator[HttpToolRunner]:
    values = {"name": "order", "description": "Order.", "parameters": SCHEMA, "url": shop.address + path, **changes}
    async with tool_session(["127.0.0.1"]) as http:
        yield HttpToolRunner(HttpTool.model_validate(values), http, SECRETS)


def call(**arguments: object) -> ToolCall:
    return ToolCall("key-1", "call_1", json.dumps(arguments))


async def test_a_post_has_its_arguments_as_json(shop: Shop) -> None:
    headers = {"Authorization": {"secret": "SHOP_TOKEN", "prefix": "Bearer "}, "X-Desk": "phone"}
    async with runner(shop, headers=headers) as tool:
        assert json.loads(await tool.run(call(order_id="a b", count=2))) == {"status": "shipped"}
    [(request, body)] = shop.requests
    assert (request.method, request.url.path, json.loads(body)) == ("POST", "/orders", {"order_id": "a b", "count": 2})
    assert request.headers["authorization"] == "Bearer s3cret"
    assert request.headers["x-desk"] == "phone"
    assert (request.headers["idempotency-key"], request.headers["x-call-id"]) == ("key-1", "call_1")
    assert request.headers["content-type"] == "application/json"


CARD = "4111111111111111"
TYPED = ToolCall("key-1", "call_1", '{"order_id":"1"}', TypedDigits("card_number", CARD))


async def test_digits_of_the_caller_are_one_more_argument(shop: Shop) -> None:
    async with runner(shop, keypad={"argument": "card_number"}, signing_secret="SHOP_SIGNING") as tool:
        await tool.run(TYPED)
    [(request, body)] = shop.requests
    assert json.loads(body) == {"order_id": "1", "card_number": CARD}
    assert CARD not in f"{request.url} {request.headers}"


@pytest.mark.parametrize("status", [200, 404])
async def test_an_echo_of_the_digits_is_masked_also_where_the_result_is_cut(shop: Shop, status: int) -> None:
    shop.will(Response(f"card {CARD}, {'x' * 75} {CARD[:4]} {CARD[4:]}", status))
    async with runner(shop, keypad={"argument": "card_number"}, max_result_chars=100) as tool:
        result = await tool.run(TYPED)
    assert CARD[:5] not in result.replace(" ", "")
    assert f"card {MASK}, x" in result


async def test_no_log_line_has_the_digits(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    shop.will(Response(CARD, 500), Response(CARD, 400))
    async with runner(shop, keypad={"argument": "card_number"}, retries=1) as tool:
        await tool.run(TYPED)
    async with tool_session(["127.0.0.1"]) as http:
        gone = HttpTool(name="pay", description="Pays.", parameters=SCHEMA, url="http://127.0.0.1:9/")
        with pytest.raises(OutsideError):
            await HttpToolRunner(gone, http, {}).run(TYPED)
    assert "tool unreachable" in caplog.text
    logged = [f"{record.getMessage()} {vars(record)}" for record in caplog.records]
    assert [line for line in logged if CARD in line] == []


async def test_a_get_has_its_arguments_in_the_url(shop: Shop) -> None:
    async with runner(shop, "/orders/{order_id}?v=1", method="GET") as tool:
        await tool.run(call(order_id="../a/b?c=d#e", count=2))
    [(request, body)] = shop.requests
    assert request.scope["raw_path"] == b"/orders/..%2Fa%2Fb%3Fc%3Dd%23e"
    assert dict(request.query_params) == {"v": "1", "count": "2"}
    assert body == b""


@pytest.mark.parametrize("order_id", ["", ".", ".."])
async def test_an_argument_cannot_leave_its_place_in_the_url(shop: Shop, order_id: str) -> None:
    async with runner(shop, "/orders/{order_id}", method="GET") as tool:
        with pytest.raises(InputError, match="order_id must not be"):
            await tool.run(call(order_id=order_id))
    assert shop.requests == []


async def test_a_request_can_be_signed(shop: Shop) -> None:
    async with runner(shop, signing_secret="SHOP_SIGNING") as tool:
        await tool.run(call(order_id="1"))
    [(request, body)] = shop.requests
    at = request.headers["webhook-timestamp"]
    digest = hmac.new(b"signing-key", f"key-1.{at}.".encode() + body, hashlib.sha256).digest()
    assert request.headers["webhook-signature"] == f"v1,{base64.b64encode(digest).decode()}"
    assert request.headers["webhook-id"] == "key-1"


@pytest.mark.parametrize("arguments", ["", "{", "[]", "{}", '{"order_id":5}', '{"order_id":"1","more":2}'])
async def test_bad_arguments_reach_nobody(shop: Shop, arguments: str) -> None:
    async with runner(shop) as tool:
        with pytest.raises(InputError, match="The arguments are not valid"):
            await tool.run(ToolCall("key-1", "call_1", arguments))
    assert shop.requests == []


async def test_a_refusal_is_a_result(shop: Shop) -> None:
    shop.will(Response("no such order", 404))
    async with runner(shop) as tool:
        assert json.loads(await tool.run(call(order_id="1"))) == {"error": 404, "detail": "no such order"}


async def test_results_are_capped(shop: Shop) -> None:
    shop.will(Response("é" * 1_000_000), Response(b"\xff\xfe"), Response(""))
    async with runner(shop, max_result_chars=100) as tool:
        assert await tool.run(call(order_id="1")) == "é" * 100
        assert await tool.run(call(order_id="1")) == "��"
        assert await tool.run(call(order_id="1")) == "{}"


async def test_failures_are_retried_with_the_same_key(shop: Shop) -> None:
    shop.will(Response(status_code=503), Response(status_code=429))
    async with runner(shop, retries=2) as tool:
        assert json.loads(await tool.run(call(order_id="1"))) == {"status": "shipped"}
    assert [request.headers["idempotency-key"] for request, _ in shop.requests] == ["key-1"] * 3


@pytest.mark.parametrize(("retries", "requests"), [(0, 1), (1, 2)])
async def test_retries_end(shop: Shop, retries: int, requests: int) -> None:
    shop.will(*[Response(status_code=500)] * 5)
    async with runner(shop, retries=retries) as tool:
        with pytest.raises(OutsideError, match="not available now"):
            await tool.run(call(order_id="1"))
    assert len(shop.requests) == requests


async def test_redirects_are_not_followed(shop: Shop) -> None:
    shop.will(RedirectResponse("http://169.254.169.254/"))
    async with runner(shop, retries=2) as tool:
        with pytest.raises(OutsideError, match="The function failed"):
            await tool.run(call(order_id="1"))
    assert len(shop.requests) == 1


async def test_a_tool_that_never_answers(shop: Shop) -> None:
    never = asyncio.Event()

    async def endless() -> Response:
        await never.wait()
        return Response()

    shop.answers.append(endless)
    async with runner(shop, timeout_s=0.1) as tool:
        with pytest.raises(OutsideError, match="did not answer in time"):
            await tool.run(call(order_id="1"))
    never.set()


async def test_a_name_with_a_private_address_is_not_reached(shop: Shop) -> None:
    async with tool_session([]) as http:
        url = shop.address.replace("127.0.0.1", "localhost")
        tool = HttpTool(name="order", description="Order.", url=url)
        with pytest.raises(OutsideError, match="not available now"):
            await HttpToolRunner(tool, http, {}).run(call())
    assert shop.requests == []


async def test_a_server_that_is_gone(shop: Shop) -> None:
    async with tool_session(["127.0.0.1"]) as http:
        tool = HttpTool(name="order", description="Order.", url="http://127.0.0.1:9/")
        with pytest.raises(OutsideError, match="not available now"):
            await HttpToolRunner(tool, http, {}).run(call())


async def test_cookies_are_not_kept(shop: Shop) -> None:
    shop.will(Response("{}", headers={"Set-Cookie": "session=1"}))
    async with runner(shop) as tool:
        await tool.run(call(order_id="1"))
        await tool.run(call(order_id="1"))
    assert "cookie" not in shop.requests[1][0].headers


@pytest.mark.parametrize("call_id", ["a\r\nX-Forged: 1", "a b", "\ud800", "x" * 10_000])
async def test_call_ids_that_are_no_header_values_are_hashed(shop: Shop, call_id: str) -> None:
    """Regression: the function failed with a traceback in the log."""
    async with runner(shop, signing_secret="SHOP_SIGNING") as tool:
        for _ in range(2):
            await tool.run(ToolCall(f"call_1:{call_id}", "call_1", '{"order_id":"1"}'))
    first, second = (request.headers["idempotency-key"] for request, _ in shop.requests)
    assert first == second
    assert len(first) == 64
    assert shop.requests[0][0].headers["webhook-id"] == first


@pytest.mark.parametrize("method", ["POST", "GET"])
async def test_half_a_surrogate_pair_is_not_sent(shop: Shop, method: str) -> None:
    async with runner(shop, method=method) as tool:
        with pytest.raises(InputError, match="surrogate"):
            await tool.run(ToolCall("key-1", "call_1", '{"order_id":"\\ud800"}'))
    assert shop.requests == []


async def test_the_fault_of_a_long_argument_does_not_repeat_it(shop: Shop) -> None:
    async with runner(shop) as tool:
        with pytest.raises(InputError) as caught:
            await tool.run(call(order_id=["x" * 100_000]))
    assert caught.value.message == (
        'The arguments are not valid: order_id: the value does not match {"type": "string"} of the schema'
    )


async def test_a_redirect_is_named(shop: Shop) -> None:
    shop.will(RedirectResponse("/elsewhere", 302))
    async with runner(shop) as tool:
        with pytest.raises(OutsideError, match=r"its server sent a redirect, which is not followed \(status 302\)"):
            await tool.run(call(order_id="1"))
