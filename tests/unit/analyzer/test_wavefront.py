"""What the Wavefront provider asks and what it makes of answers (`argo-behaviour.md` 8.4)."""

from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

import pytest

from tidegate.outbound import Answer
from tidegate_analyzer.provider import NotMeasured
from tidegate_analyzer.providers.wavefront import call_of, measured

NOW = datetime(2026, 11, 20, 12, 0, 0, 900_000, UTC)
SECONDS = 1795176000
TOKENS = {"example.wavefront.com": "t0ken", "other.wavefront.com": "0ther"}


def test_a_query_is_asked_for_this_second_with_the_token_of_its_address():
    call = call_of({"address": "example.wavefront.com", "query": "ts(a, b=c)"}, TOKENS, NOW)
    parts = urlsplit(call.url)
    assert (call.method, parts.scheme, parts.netloc, parts.path) == ("GET", "https", "example.wavefront.com", "/api/v2/chart/api")
    assert {name: values[0] for name, values in parse_qs(parts.query).items()} == {
        "q": "ts(a, b=c)", "s": f"{SECONDS}000", "e": f"{SECONDS}000", "p": "1", "g": "s", "i": "true",
        "autoEvents": "false", "listmode": "false", "strict": "false", "includeObsoleteMetrics": "false",
    }  # fmt: skip
    assert call.headers == (("Authorization", "Bearer t0ken"), ("Accept", "application/json"))


@pytest.mark.parametrize("address", ["", "evil.test"])
def test_no_token_is_sent_to_an_address_that_has_none(address):
    with pytest.raises(NotMeasured, match=r"^API token not found$"):
        call_of({"address": address, "query": "q"}, TOKENS, NOW)


def series(*points: list[list[float]], more: str = "") -> Answer:
    inner = ",".join(f'{{"data":{each}}}' for each in points)
    return Answer(200, f'{{"timeseries":[{inner}]{more}}}'.encode())


@pytest.mark.parametrize(
    ("answer", "result", "value", "metadata"),
    [
        pytest.param(
            series([[SECONDS - 5, 0.5]]), 0.5, "0.50", {"timestamps": str(SECONDS - 5), "drift": "-5"}, id="one series"
        ),
        pytest.param(
            series([[SECONDS - 60, 1], [SECONDS + 2, 2], [SECONDS + 30, 3]]),
            2.0, "2.00", {"timestamps": str(SECONDS + 2), "drift": "2"}, id="the point nearest to now",
        ),
        pytest.param(
            series([[SECONDS, 1]], [[SECONDS - 1, 2.345]]),
            [1.0, 2.345], "[1.00,2.35]", {"timestamps": f"[{SECONDS},{SECONDS - 1}]", "drift": "[0,-1]"}, id="several series",
        ),
        pytest.param(series([]), 0.0, "0.00", {"timestamps": "0", "drift": str(-SECONDS)}, id="a series without a point"),
        pytest.param(
            series([[SECONDS, 1]], more=',"warnings":"slow"'),
            1.0, "1.00", {"warnings": "slow", "timestamps": str(SECONDS), "drift": "0"}, id="warnings",
        ),
    ],
)  # fmt: skip
def test_the_nearest_point_of_each_series_is_the_value(answer, result, value, metadata):
    outcome = measured(answer, NOW)
    assert (outcome.result, outcome.value, outcome.metadata) == (result, value, metadata)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (Answer(200, b"{}"), "No TimeSeries found in response from Wavefront"),
        (Answer(200, b'{"timeseries":[]}'), "No TimeSeries found in response from Wavefront"),
        (Answer(401, b"who is t0ken"), "server returned 401 Unauthorized\nwho is *****"),
        (Answer(429, b""), "server returned 429 Too Many Requests\n"),
        (Answer(500, b"no"), "server returned 500 Internal Server Error\nno"),
        (Answer(200, b'{"timeseries":[{"data":[["x",1]]}]}'),
         "the answer of Wavefront holds points that are not two numbers"),
    ],
)  # fmt: skip
def test_what_cannot_be_measured_is_said(answer, message):
    with pytest.raises(NotMeasured) as told:
        measured(answer, NOW, token="t0ken")
    assert str(told.value) == message
