from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from lab.acs.signing import SIGNED_HEADERS, SignedRequest, content_hash, refusal, sign

KEY = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
BODY = b'{"incomingCallContext": "ctx", "callRejectReason": "busy"}'
PATH = "/calling/callConnections:reject?api-version=2026-03-12"
DATE = "Sun, 22 Nov 2026 05:19:02 GMT"
HOST = "127.0.0.1:18991"
NOW = datetime(2026, 11, 22, 5, 19, 30, tzinfo=UTC)
# Captured from the Python SDK 1.6.0.
HASH = "6z+VxH2hks313JJ170NeHRXHVBWXqK9jF2u5xrxRVYA="
SIGNATURE = "RGj4o5k1YiLDyrSNxc7cCDBs6yWZ9lZ1cMQs5AjOJJA="
HEADERS = {
    "host": HOST,
    "x-ms-date": DATE,
    "x-ms-content-sha256": HASH,
    "authorization": f"HMAC-SHA256 SignedHeaders={SIGNED_HEADERS}&Signature={SIGNATURE}",
}
REQUEST = SignedRequest("POST", PATH, HEADERS, BODY)


def test_the_signature_of_a_captured_request() -> None:
    assert content_hash(BODY) == HASH
    assert content_hash(b"") == "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
    assert sign(KEY, "post", PATH, DATE, HOST, HASH) == SIGNATURE
    assert refusal(REQUEST, KEY, NOW) is None


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        (replace(REQUEST, body=BODY + b" "), "content-sha256"),
        (replace(REQUEST, path_and_query=PATH + "1"), "signature"),
        (replace(REQUEST, verb="PUT"), "signature"),
        (replace(REQUEST, headers=HEADERS | {"host": HOST + "/"}), "signature"),
        (replace(REQUEST, headers=HEADERS | {"x-ms-date": "yesterday"}), "x-ms-date"),
        (replace(REQUEST, headers=HEADERS | {"x-ms-content-sha256": "é"}), "content-sha256"),
        (replace(REQUEST, headers=HEADERS | {"authorization": "HMAC-SHA256 Signature=x"}), "SignedHeaders"),
        (replace(REQUEST, headers={}), "no HMAC-SHA256"),
    ],
)
def test_any_change_is_refused_with_its_reason(changed: SignedRequest, reason: str) -> None:
    refused = refusal(changed, KEY, NOW)
    assert refused is not None
    assert reason in refused


def test_another_key_and_an_old_date_are_refused() -> None:
    assert refusal(REQUEST, "d3Jvbmc=", NOW) is not None
    assert refusal(REQUEST, KEY, NOW + timedelta(minutes=6)) is not None
    assert refusal(REQUEST, KEY, NOW - timedelta(minutes=6)) is not None


def test_an_encoded_colon_in_a_participants_id_is_the_same_request() -> None:
    signed = "/calling/callConnections/c/participants/4%3A%2B1425?api-version=2026-03-12"
    signature = sign(KEY, "GET", signed, DATE, HOST, content_hash(b""))
    authorization = f"HMAC-SHA256 SignedHeaders={SIGNED_HEADERS}&Signature={signature}"
    headers = HEADERS | {"authorization": authorization, "x-ms-content-sha256": content_hash(b"")}
    assert refusal(SignedRequest("GET", signed.replace("%3A", ":"), headers, b""), KEY, NOW) is None
