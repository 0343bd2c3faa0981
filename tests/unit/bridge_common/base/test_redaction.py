from __future__ import annotations

import base64
import secrets
import uuid

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge_common.base.ids import call_id_of
from bridge_common.base.redaction import LONGEST, redacted
from bridge_common.wire import media_token

ACCESS_KEY = base64.b64encode(b"the access key of a resource, 64 bytes long, as the portal shows").decode()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("The number +14255550100 is not owned", "The number [number] is not owned"),
        ("4:+14255550100 hung up, 4:14255550100 too", "[number] hung up, [number] too"),
        ("calling +1 (425) 555-0100.", "calling [number]."),
        ("calling 425-555-0100, 425.555.0100 and 14255550100", "calling [number], [number] and [number]"),
        ('{"value":"+14255550100"}', '{"value":"[number]"}'),
        ("user 8:acs:6c616261-6373-4000_00000012 left", "user [party] left"),
        ("transfer to 8:orgid:3e9b2b1c-1a2b-4c3d-8e4f-0123456789ab", "transfer to [party]"),
        ("bot 28:orgid:3e9b2b1c-1a2b-4c3d-8e4f-0123456789ab", "bot [party]"),
        (f"endpoint=https://r.communication.azure.com/;accesskey={ACCESS_KEY}",
         "endpoint=https://r.communication.azure.com/;accesskey=[secret]"),
        (f"the key {ACCESS_KEY} is disabled", "the key [secret] is disabled"),
        ('{"apiKey": "abc123", "x": 1}', '{"apiKey=[secret]", "x": 1}'),
        ("Authorization: Bearer abcdefghij.klmnopqrst", "Authorization: Bearer [token]"),
        ("HMAC-SHA256 SignedHeaders=x-ms-date;host&Signature=RGj4o5k1Yi+LD/yrSN=",
         "HMAC-SHA256 SignedHeaders=x-ms-date;host&Signature=[secret]"),
        ("callback https://app/api/incomingCall?code=s3cret&x=1 failed",
         "callback https://app/api/incomingCall?code=[secret]&x=1 failed"),
        ("redis://user:pass@redis:6380/0 refused", "redis://[secret]@redis:6380/0 refused"),
        ("blob?sv=2024&sig=ab%2Bc%3D&se=1", "blob?sv=2024&sig=[secret]&se=1"),
    ],
)  # fmt: skip
def test_what_is_hidden(text: str, shown: str) -> None:
    assert redacted(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "The conversation has ended. DiagCode: 0#560000.@",
        "Action failed, Transport url is not valid or web socket server is not operational.",
        "400 8501 Call is not established.",
        "IDX23010: Lifetime validation failed. Current time: '11/22/2026 5:19:02 AM' UTC, valid until: '11/22/2026'",
        "Call 441f1200-fd54-422e-9566-a867d187dca7 not found, request 08002580-9c4a-4a8b-b8ab-bad5475a3149",
        "Cannot connect to host 127.0.0.1:8090 ssl:default [Connect call failed ('192.168.100.200', 443)]",
        "Bearer token authentication is not permitted for non-TLS protected (non-https) URLs.",
        "at 2026-11-22T05:00:01.5556858+00:00, 2026-11-22 05:19:02 and on 2026-11-22",
        "POST https://r.communication.azure.com/calling/callConnections/441f1200-fd54-422e-9566-a867d187dca7:terminate",
        "Rate limit reached. Please try again in 7.5 seconds. Code: 429",
        "",
    ],
)
def test_what_helps_to_find_the_fault_stays(text: str) -> None:
    assert redacted(text) == text


def test_tokens_of_every_kind_are_hidden_and_call_ids_stay() -> None:
    call_id = call_id_of(str(uuid.uuid4()))
    media = media_token.mint(["media-token-key-of-the-tests"], call_id, 1_795_000_000)
    web = jwt.encode({"aud": "x"}, "k" * 32)
    text = f"wss://media.test/ws/{call_id}/{media} refused for {web}"
    assert redacted(text) == f"wss://media.test/ws/{call_id}/[token] refused for [token]"


def test_long_texts_are_cut() -> None:
    assert redacted("ab " * 10_000) == ("ab " * LONGEST)[:LONGEST] + "…"


@given(st.text(max_size=60), st.from_regex(r"\+[1-9][0-9]{7,14}", fullmatch=True), st.text(max_size=60))
def test_a_number_with_a_plus_never_stays(before: str, number: str, after: str) -> None:
    assert number not in redacted(f"{before} {number} {after}")


@given(st.text(max_size=60), st.text(max_size=60))
def test_a_key_never_stays(before: str, after: str) -> None:
    key = base64.b64encode(secrets.token_bytes(64)).decode()
    assert key not in redacted(f"{before} {key} {after}")
