"""Any HTTP endpoint that answers with a value (`argo-behaviour.md` 8.2).

An answer that is JSON is read with a Kubernetes JSONPath, of which the first match counts. One that is not is the value itself, as
text, and the path is ignored: that is what lets `result == "ok"` work.
"""

import json
from dataclasses import replace
from typing import ClassVar, Final

from tidegate.outbound import Call
from tidegate_analyzer.answers import NotJson, document, stored
from tidegate_analyzer.authentication import bearer
from tidegate_analyzer.jsonpath import NO_VALUE, JsonPath, JsonPathError, NoValue, parsed
from tidegate_analyzer.provider import Config, Context, Measured, NotMeasured, Tools

NAME: Final = "web"
DEFAULT_SECONDS: Final = 10.0
METHODS: Final = ("GET", "POST", "PUT")


class Web:
    """See the module's docstring."""

    offers: ClassVar[tuple[str, ...]] = (
        "GET/POST/PUT", "JSONPath", "headers", "body and jsonBody", "OAuth2", "insecure TLS", "timeout",
    )  # fmt: skip

    def __init__(self, tools: Tools) -> None:
        self._outbound = tools.outbound

    async def measure(self, config: Config, context: Context) -> Measured:  # noqa: ARG002 - the port's
        call = call_of(config)
        oauth2 = (config.get("authentication") or {}).get("oauth2") or {}
        if token := await bearer(oauth2, self._outbound, seconds=call.timeout, insecure=call.insecure):
            call = replace(call, headers=(*call.headers, token))
        answer = await self._outbound.send(call)
        if not answer.is_success:
            raise NotMeasured(f"received non 2xx response code: {answer.status}")
        return measured(answer.body, config.get("jsonPath") or "")


def call_of(config: Config) -> Call:
    """The call a metric asks for. Pure."""
    method, text, json_body = config.get("method") or "GET", config.get("body") or "", config.get("jsonBody")
    if method not in METHODS:
        raise NotMeasured(f"method {method!r} is not one of {', '.join(METHODS)}")
    if text and json_body is not None:
        raise NotMeasured("use either Body or JSONBody; both cannot exists for WebMetric payload")
    if (text or json_body is not None) and method == "GET":
        raise NotMeasured("Body/JSONBody can only be used with POST or PUT WebMetric Method types")
    headers = [(header["key"], header.get("value") or "") for header in config.get("headers") or ()]
    if json_body is not None:
        headers.append(("Content-Type", "application/json"))
        text = json.dumps(json_body, ensure_ascii=False, separators=(",", ":"))
    return Call(
        method=method,
        url=config.get("url") or "",
        headers=tuple(headers),
        body=text.encode(),
        timeout=float(config.get("timeoutSeconds") or DEFAULT_SECONDS),
        insecure=bool(config.get("insecure")),
    )


def path_of(config: Config) -> JsonPath:
    """Where in the answer the value lies. Pure."""
    try:
        return parsed(config.get("jsonPath") or "")
    except JsonPathError as error:
        raise NotMeasured(f"Could not find JSONPath in body: {error}") from error


def measured(body: bytes, path: str) -> Measured:
    """The value in an answer. Pure."""
    try:
        result = parsed(path).first(document(body))
    except NotJson:
        text = body.decode(errors="replace")
        return Measured(result=text, value=text)
    except NoValue as error:
        raise NotMeasured(NO_VALUE) from error
    except JsonPathError as error:
        raise NotMeasured(f"Could not find JSONPath in body: {error}") from error
    return Measured(result=result, value=stored(result))
