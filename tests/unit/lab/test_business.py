"""The simulated business: orders, appointments that are booked once, and its faults."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from lab.business import BusinessSettings, create_app


@pytest.fixture
async def business() -> AsyncIterator[httpx.AsyncClient]:
    async with business_of(BusinessSettings()) as client:
        yield client


def business_of(settings: BusinessSettings) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(create_app(settings)), base_url="http://business")


async def test_orders(business: httpx.AsyncClient) -> None:
    assert (await business.get("/orders/42")).json() == {"order": "42", "state": "on its way"}
    assert (await business.get("/orders/7")).status_code == 404


async def test_an_appointment_is_booked_once_for_each_key(business: httpx.AsyncClient) -> None:
    for key, day in (("a", "Monday"), ("a", "Monday"), ("b", "Friday")):
        reply = await business.post("/appointments", json={"day": day}, headers={"Idempotency-Key": key})
        assert (reply.status_code, reply.json()["day"]) == (201, day)
    known = (await business.get("/lab/requests")).json()
    assert known["appointments"] == [
        {"number": 1, "day": "Monday", "call_id": ""},
        {"number": 2, "day": "Friday", "call_id": ""},
    ]
    assert [row["key"] for row in known["requests"]] == ["a", "a", "b"]


async def test_appointments_survive_the_process_in_the_journal(tmp_path: Path) -> None:
    settings = BusinessSettings(journal=str(tmp_path / "appointments.jsonl"))
    for _ in range(2):
        async with business_of(settings) as client:
            headers = {"Idempotency-Key": "a", "X-Call-Id": "call_1"}
            reply = await client.post("/appointments", json={"day": "Monday"}, headers=headers)
            assert reply.json() == {"number": 1, "day": "Monday"}
            known = (await client.get("/lab/requests")).json()
            assert known["appointments"] == [{"number": 1, "day": "Monday", "call_id": "call_1"}]


@pytest.mark.parametrize("body", [b"", b"[]", b'{"day": 7}'])
async def test_an_appointment_needs_a_day(business: httpx.AsyncClient, body: bytes) -> None:
    assert (await business.post("/appointments", content=body)).status_code == 400


async def test_a_card_is_charged_once_and_echoed(business: httpx.AsyncClient) -> None:
    card = "4111111111111111"
    for _ in range(2):
        reply = await business.post("/payments", json={"card_number": card}, headers={"Idempotency-Key": "a"})
        assert (reply.status_code, reply.json()) == (201, {"paid": True, "card": "4111 1111 1111 1111"})
    assert (await business.get("/lab/requests")).json()["payments"] == [{"card_number": card}]


@pytest.mark.parametrize("body", [b"", b"[]", b'{"card_number": 4111111111111111}', b'{"card_number": "4111"}'])
async def test_a_payment_needs_a_card_number(business: httpx.AsyncClient, body: bytes) -> None:
    assert (await business.post("/payments", content=body)).status_code == 400


async def test_faults_happen_as_often_as_asked(business: httpx.AsyncClient) -> None:
    failing = {"failing": {"status": 503, "retry_after_s": 2, "times": 1}}
    assert (await business.put("/lab/faults", json=failing)).json() == failing
    refused = await business.post("/appointments", json={"day": "Monday"})
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "2")
    assert (await business.post("/appointments", json={"day": "Monday"})).status_code == 201
    assert (await business.put("/lab/faults", json={"slow": {"delay_s": 0.01}})).status_code == 200
    assert (await business.get("/orders/42")).status_code == 200
    assert (await business.put("/lab/faults", json={"late": {"delay_s": 0.01}})).status_code == 200
    assert (await business.get("/orders/42")).status_code == 200
    assert (await business.delete("/lab/faults")).status_code == 204
    assert (await business.get("/lab/faults")).json() == {}
    assert (await business.put("/lab/faults", json={"sleepy": {}})).status_code == 400
    assert len((await business.get("/lab/requests")).json()["appointments"]) == 1
