"""Tokens of ACS for callbacks and media sockets, and the documents (OpenID configuration, keys) for verifying them.

RS256; issuer without a trailing slash; the audience is the immutable resource id; valid for 5 minutes for a callback
and 24 hours for a media socket; a new token for each request and connection (ACS docs, "Secure webhook endpoint").
"""

from __future__ import annotations

import json
import uuid
from datetime import datetime

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

OPENID_PATH = "/calling/.well-known/acsopenidconfiguration"
KEYS_PATH = "/calling/keys"
EVENT_GRID_ROLE = "AzureEventGridSecureWebhookSubscriber"
EVENT_GRID_APP_ID = "4962773b-9cdb-44cf-a8bf-237846a00ab7"

Claims = dict[str, str | int | list[str]]


class SigningKey:
    def __init__(self) -> None:
        self.kid = uuid.uuid4().hex
        self._private = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def sign(self, claims: Claims) -> str:
        return jwt.encode(claims, self._private, algorithm="RS256", headers={"kid": self.kid})

    def jwk(self) -> dict[str, object]:
        public: dict[str, object] = json.loads(RSAAlgorithm.to_jwk(self._private.public_key()))
        return public | {"use": "sig", "alg": "RS256", "kid": self.kid}


class TokenIssuer:
    """Signs tokens with the newest key. Publishes the newest and the previous key, as during a key rotation."""

    def __init__(self, issuer: str, audience: str) -> None:
        self._issuer = issuer
        self._audience = audience
        self._keys = [SigningKey()]

    def rotate(self) -> str:
        """Create a new key and return its `kid`; the previous key stays published."""
        self._keys = [SigningKey(), self._keys[0]]
        return self._keys[0].kid

    def acs_token(self, now: datetime, lifetime_s: float) -> str:
        return self._keys[0].sign(self._claims(self._audience, now, lifetime_s))

    def event_grid_token(self, audience: str, now: datetime) -> str:
        claims = self._claims(audience, now, 3600.0)
        return self._keys[0].sign(claims | {"roles": [EVENT_GRID_ROLE], "appid": EVENT_GRID_APP_ID})

    def jwks(self) -> dict[str, object]:
        return {"keys": [key.jwk() for key in self._keys]}

    def openid_configuration(self, base_url: str) -> dict[str, object]:
        return {
            "issuer": self._issuer,
            "jwks_uri": base_url + KEYS_PATH,
            "id_token_signing_alg_values_supported": ["RS256"],
            "subject_types_supported": ["public"],
            "response_types_supported": ["id_token"],
        }

    def _claims(self, audience: str, now: datetime, lifetime_s: float) -> Claims:
        issued = int(now.timestamp())
        return {
            "iss": self._issuer,
            "aud": audience,
            "iat": issued,
            "nbf": issued,
            "exp": issued + int(lifetime_s),
            "jti": str(uuid.uuid4()),
        }
