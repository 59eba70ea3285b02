"""OAuth 2 client credentials (RFC 6749, 4.4), for the providers that offer `authentication.oauth2`.

A token is fetched for each measurement, as the peer does: an identity provider that is down is then an Error of the measurement and
not a stale token in some process.
"""

import base64
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

import orjson

from tidegate.outbound import Answer, Call, Outbound
from tidegate_analyzer.provider import Config, NotMeasured

Header = tuple[str, str]
_FORM = ("Content-Type", "application/x-www-form-urlencoded")


def basic(username: str, password: str) -> Header:
    return "Authorization", "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()


async def bearer(oauth2: Config, outbound: Outbound, *, seconds: float, insecure: bool) -> Header | None:
    """The Authorization header, or None where no token URL is given."""
    if not oauth2.get("tokenUrl"):
        return None
    if not oauth2.get("clientId") or not oauth2.get("clientSecret"):
        raise NotMeasured("missing mandatory parameter in metric for OAuth2 setup")
    form = {"grant_type": "client_credentials"}
    if scopes := oauth2.get("scopes"):
        form["scope"] = " ".join(scopes)
    for headers, fields in _ways(oauth2, form):
        call = Call(
            method="POST",
            url=oauth2["tokenUrl"],
            headers=(_FORM, ("Accept", "application/json"), *headers),
            body=urlencode(fields).encode(),
            timeout=seconds,
            insecure=insecure,
        )
        answer = await outbound.send(call)
        if answer.is_success:
            return "Authorization", f"Bearer {_token(answer)}"
    raise NotMeasured(f"oauth2: cannot fetch token: {answer.status} {answer.body[:500].decode(errors='replace')}".rstrip())


def _ways(oauth2: Config, form: dict[str, str]) -> list[tuple[tuple[Header, ...], dict[str, str]]]:
    """Servers differ in where they look for the client's credentials; the header is the standard's way, the form the fallback."""
    client, secret = oauth2["clientId"], oauth2["clientSecret"]
    return [
        ((basic(quote(client, safe=""), quote(secret, safe="")),), form),
        ((), {**form, "client_id": client, "client_secret": secret}),
    ]


def _token(answer: Answer) -> str:
    try:
        token: Any = orjson.loads(answer.body)
    except orjson.JSONDecodeError as error:
        raise NotMeasured("oauth2: cannot fetch token: the answer is not JSON") from error
    if not isinstance(token, Mapping) or not isinstance(token.get("access_token"), str):
        raise NotMeasured("oauth2: server response missing access_token")
    return str(token["access_token"])
