"""The verifier of signed tokens of others: JWT bearers as OIDC providers and clouds issue them.

Decides that issuer, audience and time are always checked, and besides them who it is: an account
(`email`, which its issuer must have verified) or declared claims. An audience alone proves nothing,
because whoever asks a public issuer for a token chooses it. Only asymmetric algorithms are read,
whatever the token says. Keys come from a JWKS (RFC 7517) at an address or in a file; a key that is
unknown is looked for once more, so that issuers may rotate.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

from joserfc import jws, jwt
from joserfc.jwk import KeySet

from collector.errors import Unproved
from collector.integrations.proof import Presented, Verifier

ALGORITHMS: Final = (
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "ES256",
    "ES384",
    "EdDSA",
)
_LEEWAY_SECONDS: Final = 60
_LONGEST: Final = 16 * 1024


def _jwt(presented: Presented) -> None:
    scheme, _, token = presented.header("authorization").partition(" ")
    if scheme.lower() != "bearer" or not 0 < len(token) <= _LONGEST:
        raise Unproved("it is no bearer token")
    require_token(presented, token)


def require_token(presented: Presented, token: str) -> None:
    """Return where a token is good for what is declared; raises whatever is wrong with it."""
    header = jws.extract_compact(token.encode()).headers()
    kid = str(header.get("kid", ""))
    keys = json.loads(presented.fetched.get(presented.option("jwks"), kid, by_operator=True))
    found = jwt.decode(token, KeySet.import_key_set(keys), algorithms=list(ALGORITHMS))
    registry = jwt.JWTClaimsRegistry(
        now=presented.now_us // 1_000_000,
        leeway=_LEEWAY_SECONDS,
        iss={"essential": True, "values": _issuers(presented.option("issuer"))},
        aud={"essential": True, "value": presented.option("audience")},
        exp={"essential": True},
    )
    registry.validate(found.claims)
    _require_account(presented, found.claims)


def _issuers(issuer: str) -> list[str]:
    return issuer.split("\n")


def _require_account(presented: Presented, claims: Mapping[str, Any]) -> None:
    email, wanted = presented.option("email"), presented.option("claims")
    if email and (claims.get("email") != email or claims.get("email_verified") is not True):
        raise Unproved("the token is another account's")
    for each in wanted.split("\n") if wanted else ():
        name, _, value = each.partition("=")
        held = claims.get(name)
        if held != value and not (isinstance(held, list) and value in held):
            raise Unproved("a claim is not as declared")
    if not email and not wanted:
        raise Unproved("the declaration names nobody")


JWT = Verifier(
    name="jwt",
    check=_jwt,
    secrets=False,
    any_sender=True,
    slow=True,
    options={
        "issuer": "Claim iss; several where an issuer has several names.",
        "audience": "Claim aud, as the sender is told to ask for it.",
        "jwks": "https address or file:PATH of the issuer's keys.",
        "email": "Account that sends; its issuer must have verified it.",
        "claims": "Claims that name the sender, each as NAME=VALUE.",
    },
    required=frozenset({"issuer", "audience", "jwks"}),
)
