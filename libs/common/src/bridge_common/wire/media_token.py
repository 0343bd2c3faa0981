"""The token in a call's media URL: proof that call-control made the URL for this call, until a given time.

`<expiry, Unix s>.<base64url HMAC-SHA256 over "call_id.expiry">`. ACS dials the same URL again after a drop, so the
token is not for single use: it is worth as much as the call is alive.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence

from bridge_common.base.errors import AuthError


def mint(keys: Sequence[str], call_id: str, expires_s: int) -> str:
    """Signs with the first key, so that a new key is introduced by putting it in front."""
    return f"{expires_s}.{_sign(keys[0], call_id, str(expires_s))}"


def check(keys: Sequence[str], call_id: str, token: str, now_s: float) -> None:
    """Raises `AuthError` unless one of the keys signed this token for this call and it has not expired."""
    expires, _, signature = token.partition(".")
    good = False
    for key in keys:
        good |= hmac.compare_digest(_bytes(_sign(key, call_id, expires)), _bytes(signature))
    if not good:
        raise AuthError("the media token is not for this call")
    if not expires.isdigit() or int(expires) < now_s:
        raise AuthError("the media token has expired")


def _sign(key: str, call_id: str, expires: str) -> str:
    digest = hmac.new(key.encode(), _bytes(f"{call_id}.{expires}"), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    """Also of text that no URL should hold: a wrong token is refused, whatever it is made of."""
    return text.encode(errors="surrogatepass")
