from __future__ import annotations

from datetime import UTC, datetime

import jwt
import pytest

from lab.acs.tokens import TokenIssuer

ISSUER = "http://acs.lab"


def check(token: str, jwks: dict[str, object], audience: str) -> dict[str, object]:
    keys = jwt.PyJWKSet.from_dict(jwks)
    claims: dict[str, object] = jwt.decode(
        token, keys[jwt.get_unverified_header(token)["kid"]], algorithms=["RS256"], audience=audience, issuer=ISSUER
    )
    return claims


def test_tokens_verify_against_the_published_keys_until_the_second_rotation() -> None:
    issuer = TokenIssuer(ISSUER, "resource")
    token = issuer.acs_token(datetime.now(UTC), 300)
    claims = check(token, issuer.jwks(), "resource")
    assert int(str(claims["exp"])) - int(str(claims["iat"])) == 300
    issuer.rotate()
    check(token, issuer.jwks(), "resource")
    issuer.rotate()
    with pytest.raises(KeyError):
        check(token, issuer.jwks(), "resource")


def test_the_published_keys_are_public_only() -> None:
    keys = TokenIssuer(ISSUER, "resource").jwks()["keys"]
    assert isinstance(keys, list)
    assert {"kty", "n", "e", "kid", "alg", "use"} <= set(keys[0])
    assert not {"d", "p", "q"} & set(keys[0])


def test_the_openid_configuration_names_issuer_and_keys() -> None:
    configuration = TokenIssuer(ISSUER, "resource").openid_configuration("http://here:1")
    assert configuration["issuer"] == ISSUER
    assert configuration["jwks_uri"] == "http://here:1/calling/keys"


def test_event_grids_token_has_its_role_and_another_audience() -> None:
    issuer = TokenIssuer(ISSUER, "resource")
    claims = check(issuer.event_grid_token("api://app", datetime.now(UTC)), issuer.jwks(), "api://app")
    assert claims["roles"] == ["AzureEventGridSecureWebhookSubscriber"]
