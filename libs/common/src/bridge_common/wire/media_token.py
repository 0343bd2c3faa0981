"""The token in the media URL of a call. It proves that call-control created the URL for this call.

Format: `<expiry, Unix s>.<base64url HMAC-SHA256 over "call_id.expiry">`. ACS uses the same URL again after a lost
connection, so the token is valid more than once.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence

from bridge_common.base.errors import AuthError


def mint(keys: Sequence[str], call_id: str, expires_s: int) -> str:
    """Create a token, signed with the first key. To rotate keys, insert a new one at the front."""
    return f"{expires_s}.{_sign(keys[0], call_id, str(expires_s))}"


def check(keys: Sequence[str], call_id: str, token: str, now_s: float) -> None:
    """Check a token. Raises `AuthError` if it has expired or no key has signed it for this call."""
    expires, _, signature = token.partition(".")
    good = False
    for key in keys:
        good |= hmac.compare_digest(_bytes(_sign(key, call_id, expires)), _bytes(signature))
    if not good:
        raise AuthError("the media token is not valid for this call")
    if not expires.isdigit():
        raise AuthError("the media token has no valid expiry time")
    if int(expires) < now_s:
        late_s = now_s - int(expires)
        raise AuthError(f"the media token expired {late_s:.0f} s ago; check the gateway's clock and MAX_CALL_S")


def _sign(key: str, call_id: str, expires: str) -> str:
    digest = hmac.new(key.encode(), _bytes(f"{call_id}.{expires}"), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    """Encode text, including lone surrogates, so that any wrong token can be compared and rejected."""
    return text.encode(errors="surrogatepass")
