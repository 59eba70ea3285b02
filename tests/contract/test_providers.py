"""What every metric provider promises, in memory and over a real socket; below it, what each says in its own protocol."""

import asyncio
import base64
import contextlib
import gzip
import json
import math
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs

import orjson
import pytest

from tidegate.config import DatadogLogin, Settings
from tidegate.kube.errors import Forbidden
from tidegate.kube.kinds import JOB, POD, SECRET
from tidegate.kube.memory import MemoryKube
from tidegate.outbound import MOST_BYTES, Answer, Call, CallFailed, Outbound, is_metadata
from tidegate.testing import PatientOutbound
from tidegate_analyzer.provider import (
    Config,
    Context,
    Decided,
    Measured,
    NotMeasured,
    Outcome,
    Provider,
    Resumable,
    Tools,
    Unfinished,
)
from tidegate_analyzer.providers import PROVIDERS, built
from tidegate_analyzer.providers.job import next_poll
from tidegate_analyzer.providers.memory import Memory
from tidegate_analyzer.providers.new_relic import NewRelic
from tidegate_analyzer.providers.wavefront import Wavefront
from tidegate_analyzer.testing import Asked, Endpoint, Reply

NOW = datetime(2026, 11, 20, 12, 0, 0, 250_000, UTC)
UID = "5d0d0c2e-0000-4000-8000-000000000001"
AWS_KEYS = {"AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": "s3cret", "AWS_SESSION_TOKEN": "t0ken"}


def context(number: int = 1, metric: str = "rate", now: datetime = NOW) -> Context:
    return Context(namespace="shop", run="canary", uid=UID, metric=metric, number=number, now=now)


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with Endpoint() as endpoint:
        yield endpoint


@pytest.fixture
def kube() -> MemoryKube:
    return MemoryKube(clock=lambda: NOW)


@pytest.fixture
async def tools(kube: MemoryKube) -> AsyncIterator[Tools]:
    async with PatientOutbound() as outbound:
        yield Tools(outbound=outbound, kube=kube, clock=lambda: NOW)


def fields(asked: Asked) -> dict[str, str]:
    return {key: values[0] for key, values in parse_qs(asked.body.decode()).items()}


# --- the contract -------------------------------------------------------------------------------------------------------


class Side:
    """A provider, a metric for it, and its other side."""

    provider: Provider
    config: Config

    def works(self) -> None:
        raise NotImplementedError

    def hangs(self) -> None:
        raise NotImplementedError

    def refuses(self) -> None:
        raise NotImplementedError


class MemorySide(Side):
    def __init__(self) -> None:
        self.memory = self.provider = Memory()
        self.config = {"script": "m"}

    def works(self) -> None:
        self.memory.scripts["m"] = [0.5]

    def hangs(self) -> None:
        self.memory.scripts["m"] = [asyncio.Event()]

    def refuses(self) -> None:
        self.memory.scripts["m"] = [NotMeasured("no")]


class HttpSide(Side):
    path: str
    good: bytes

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint

    def works(self) -> None:
        self.endpoint.answer(self.path, Reply(body=self.good))

    def hangs(self) -> None:
        self.endpoint.answer(self.path, Reply(body=self.good, delay=30))

    def refuses(self) -> None:
        self.endpoint.answer(self.path, Reply(500, b"no"))


class WebSide(HttpSide):
    path, good = "/rate", b"0.5"

    def __init__(self, endpoint: Endpoint, tools: Tools) -> None:
        super().__init__(endpoint)
        self.provider = PROVIDERS["web"](tools)
        self.config = {"url": endpoint.url(self.path)}


class PrometheusSide(HttpSide):
    path = "/api/v1/query"
    good = b'{"status":"success","data":{"resultType":"scalar","result":[1,"0.5"]}}'

    def __init__(self, endpoint: Endpoint, tools: Tools) -> None:
        super().__init__(endpoint)
        self.provider = PROVIDERS["prometheus"](tools)
        self.config = {"address": endpoint.url(""), "query": "up"}


class JobSide(Side):
    def __init__(self, kube: MemoryKube, tools: Tools) -> None:
        self.kube = kube
        self.provider = PROVIDERS["job"](tools)
        self.config = {
            "spec": {"template": {"spec": {"containers": [{"name": "check", "image": "check"}], "restartPolicy": "Never"}}}
        }

    def works(self) -> None:
        self.kube.before = lambda _call: None

    def hangs(self) -> None:
        """Creating a Job is one call of the API, which has its own time-out."""

    def refuses(self) -> None:
        def refuse(_call: Any) -> None:
            raise Forbidden("jobs.batch is forbidden", status=403)

        self.kube.before = refuse


class GraphiteSide(HttpSide):
    path, good = "/render", b'[{"target":"a","datapoints":[[0.5,1]]}]'

    def __init__(self, endpoint: Endpoint, tools: Tools) -> None:
        super().__init__(endpoint)
        self.provider = PROVIDERS["graphite"](tools)
        self.config = {"address": endpoint.url(""), "query": "target=a"}


class InfluxdbSide(HttpSide):
    path = "/api/v2/query"
    good = b"#datatype,string,long,double\n#group,false,false,false\n#default,_result,,\n,result,table,_value\n,,0,0.5\n"

    def __init__(self, endpoint: Endpoint, kube: MemoryKube, tools: Tools) -> None:
        super().__init__(endpoint)
        put_secret(kube, "influxdb", address=endpoint.url(""), authToken="t0ken", org="shop")
        self.provider = PROVIDERS["influxdb"](tools)
        self.config = {"query": "q"}


class DatadogSide(HttpSide):
    path, good = "/api/v1/query", b'{"series":[{"pointlist":[[1,0.5]]}]}'

    def __init__(self, endpoint: Endpoint, kube: MemoryKube, tools: Tools) -> None:
        super().__init__(endpoint)
        put_secret(kube, "datadog", **{"address": endpoint.url(""), "api-key": "4pi", "app-key": "4pp"})
        self.provider = PROVIDERS["datadog"](tools)
        self.config = {"query": "avg:cpu{*}"}


class DatadogTableSide(DatadogSide):
    path = "/api/v2/query/scalar"
    good = b'{"data":{"attributes":{"columns":[{"name":"query","type":"number","values":[0.5]}]}}}'

    def __init__(self, endpoint: Endpoint, kube: MemoryKube, tools: Tools) -> None:
        super().__init__(endpoint, kube, tools)
        self.config = {"apiVersion": "v2", "query": "avg:cpu{*}"}


class WavefrontSide(HttpSide):
    path, good = "/api/v2/chart/api", b'{"timeseries":[{"data":[[1,0.5]]}]}'

    def __init__(self, endpoint: Endpoint, kube: MemoryKube, tools: Tools) -> None:
        super().__init__(endpoint)
        address = endpoint.url("").removeprefix("http://")
        put_secret(kube, "wavefront-api-tokens", **{address: "t0ken"})
        self.provider = Wavefront(tools, scheme="http")
        self.config = {"address": address, "query": "ts(a)"}


class NewRelicSide(HttpSide):
    path, good = "/graphql", b'{"data":{"actor":{"account":{"nrql":{"results":[{"rate":0.5}]}}}}}'

    def __init__(self, endpoint: Endpoint, kube: MemoryKube, tools: Tools) -> None:
        super().__init__(endpoint)
        login = {"personal-api-key": "k3y", "account-id": "42", "base-url-nerdgraph": endpoint.url("/graphql")}
        put_secret(kube, "newrelic", **login)
        self.pauses: list[float] = []
        self.provider = NewRelic(tools, sleep=self.pause)
        self.config = {"query": "SELECT 1"}

    async def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)


class SkywalkingSide(HttpSide):
    path, good = "/graphql", b'{"data":{"rate":0.5}}'

    def __init__(self, endpoint: Endpoint, tools: Tools) -> None:
        super().__init__(endpoint)
        self.provider = PROVIDERS["skywalking"](tools)
        self.config = {"address": endpoint.url(""), "query": "query { rate }", "interval": "5m"}


class CloudWatchSide(HttpSide):
    path, good = "/", b'{"MetricDataResults":[{"Id":"rate","Values":[0.5]}]}'

    def __init__(self, endpoint: Endpoint, tools: Tools) -> None:
        super().__init__(endpoint)
        environ = {**AWS_KEYS, "AWS_REGION": "eu-west-1", "AWS_ENDPOINT_URL_CLOUDWATCH": endpoint.url("")}
        self.provider = PROVIDERS["cloudWatch"](replace(tools, settings=Settings(aws=environ)))
        self.config = {"metricDataQueries": [{"id": "rate", "expression": "1/2"}]}


class KayentaSide(HttpSide):
    path, good = "/canary/c1", b'{"canaryExecutionId":"e1"}'

    def __init__(self, endpoint: Endpoint, tools: Tools) -> None:
        super().__init__(endpoint)
        endpoint.answer("/canaryConfig", Reply(body=b'[{"id":"c1","name":"latency"}]'))
        self.provider = PROVIDERS["kayenta"](tools)
        self.config = {
            "address": endpoint.url(""), "application": "shop", "canaryConfigName": "latency", "scopes": [],
            "threshold": {"pass": 90, "marginal": 75},
        }  # fmt: skip


def put_secret(kube: MemoryKube, name: str, namespace: str = "tidegate-system", **texts: str) -> None:
    """With a line break at the end, as `kubectl create secret --from-file` leaves it."""
    data = {key: base64.b64encode(f"{text}\n".encode()).decode() for key, text in texts.items()}
    kube.put(SECRET, {"metadata": {"namespace": namespace, "name": name}, "data": data})


OVER_HTTP: dict[str, Callable[[Endpoint, MemoryKube, Tools], HttpSide]] = {
    "cloudWatch": lambda endpoint, _kube, tools: CloudWatchSide(endpoint, tools),
    "datadog": DatadogSide,
    "datadog v2": DatadogTableSide,
    "graphite": lambda endpoint, _kube, tools: GraphiteSide(endpoint, tools),
    "influxdb": InfluxdbSide,
    "kayenta": lambda endpoint, _kube, tools: KayentaSide(endpoint, tools),
    "newRelic": NewRelicSide,
    "prometheus": lambda endpoint, _kube, tools: PrometheusSide(endpoint, tools),
    "skywalking": lambda endpoint, _kube, tools: SkywalkingSide(endpoint, tools),
    "wavefront": WavefrontSide,
    "web": lambda endpoint, _kube, tools: WebSide(endpoint, tools),
}


@pytest.fixture(params=["memory", "job", *OVER_HTTP])
def side(request: pytest.FixtureRequest, endpoint: Endpoint, kube: MemoryKube, tools: Tools) -> Side:
    if request.param == "memory":
        return MemorySide()
    if request.param == "job":
        return JobSide(kube, tools)
    return OVER_HTTP[request.param](endpoint, kube, tools)


@pytest.fixture(params=list(OVER_HTTP))
def http_side(request: pytest.FixtureRequest, endpoint: Endpoint, kube: MemoryKube, tools: Tools) -> HttpSide:
    return OVER_HTTP[request.param](endpoint, kube, tools)


async def test_it_answers_with_a_value_or_with_work_that_goes_on(side):
    side.works()
    outcome = await side.provider.measure(side.config, context())
    assert isinstance(outcome, Measured | Decided | Unfinished)


async def test_asked_twice_for_the_same_measurement_it_answers_the_same(side):
    side.works()
    assert await side.provider.measure(side.config, context()) == await side.provider.measure(side.config, context())


async def test_what_it_cannot_measure_it_says_in_words(side):
    side.refuses()
    with pytest.raises((NotMeasured, CallFailed)) as told:
        await side.provider.measure(side.config, context())
    assert str(told.value)


async def test_texts_are_all_that_goes_into_the_object(side):
    side.works()
    outcome = await side.provider.measure(side.config, context())
    assert json.dumps(dict(outcome.metadata))
    assert all(isinstance(text, str) for text in outcome.metadata.values())


async def test_only_who_answers_with_unfinished_work_need_know_how_to_go_on(side):
    side.works()
    outcome: Outcome = await side.provider.measure(side.config, context())
    assert isinstance(side.provider, Resumable) or not isinstance(outcome, Unfinished)


async def test_it_can_be_cancelled_at_once(side):
    if isinstance(side, JobSide):
        return  # its creation is one call of the API, which has its own time-out
    side.hangs()
    task = asyncio.create_task(side.provider.measure(side.config, context()))
    await asyncio.sleep(0.1)
    task.cancel()
    async with asyncio.timeout(300):
        with pytest.raises(asyncio.CancelledError):
            await task


def test_the_registry_builds_every_provider_it_names(tools):
    over_http = {name.partition(" ")[0] for name in OVER_HTTP}
    assert set(built(tools)) == set(PROVIDERS) == {"job", "plugin", *over_http}


# --- the contract of those that call out --------------------------------------------------------------------------------


REFUSALS = [
    (status, body) for status in (401, 403, 429, 500, 502, 503) for body in (b"", b"<html>go away</html>", b'{"message":"no"}')
]
REASONS = ("Invalid Response", "error response", "exceeded rate limit", "temporarily unavailable")
GARBAGE = [
    b"",
    b"\xff\xfe\x00",
    b"<html>",
    b"null",
    b"[]",
    b"{}",
    b'"text"',
    b"[[[",
    b"[null]",
    b'{"data":7,"status":true}',
    b"[" * 9999,
]


async def test_a_refusal_is_no_value_and_its_status_or_reason_is_told(http_side):
    for status, body in REFUSALS:
        http_side.endpoint.answer(http_side.path, Reply(status, body))
        with pytest.raises(NotMeasured) as told:
            await http_side.provider.measure(http_side.config, context())
        assert any(words in str(told.value) for words in (str(status), *REASONS)), (status, body)


async def test_garbage_is_a_value_or_no_value_and_never_a_defect(http_side):
    for body in GARBAGE:
        http_side.endpoint.answer(http_side.path, Reply(body=body))
        with contextlib.suppress(NotMeasured, CallFailed):
            outcome = await http_side.provider.measure(http_side.config, context())
            assert isinstance(outcome, Measured), body
            assert isinstance(outcome.value, str), body


BOMB = gzip.compress(bytes(MOST_BYTES)) * 100  # members of one stream


async def fails(side: HttpSide, *replies: Reply) -> str:
    """What is told of a measurement that gets these answers."""
    side.endpoint.answer(side.path, *replies)
    with pytest.raises(CallFailed) as told:
        await side.provider.measure(side.config, context())
    return str(told.value)


async def test_an_endless_answer_is_not_read_to_its_end(http_side):
    assert "the answer is larger than 1048576 bytes" in await fails(http_side, Reply(body=b" " * 65536, endless=True))


async def test_a_head_without_measure_is_not_taken(http_side):
    assert await fails(http_side, Reply(headers={"X-Long": "x" * MOST_BYTES}))


async def test_what_would_unfold_into_a_hundred_mebibytes_is_not_unfolded(http_side):
    assert len(BOMB) < MOST_BYTES
    folded = Reply(body=BOMB, headers={"Content-Encoding": "gzip"})
    assert "encoded as gzip, which was not asked for" in await fails(http_side, folded)


async def test_redirects_are_not_followed_for_ever_and_what_comes_with_them_is_not_read(http_side):
    loop = Reply(302, body=b" " * 65536, endless=True, headers={"Location": http_side.path})
    assert "stopped after 10 redirects" in await fails(http_side, loop)


async def test_a_redirect_leads_to_no_metadata_service(http_side):
    forbidden = Reply(302, headers={"Location": "http://169.254.169.254/latest/meta-data"})
    assert "169.254.169.254 is a link-local or metadata address" in await fails(http_side, forbidden)


@pytest.mark.parametrize("status", [302, 307])
async def test_a_redirect_tells_no_key_to_a_server_that_was_not_named(http_side, status):
    with Endpoint() as other:
        other.answer("/other", Reply(body=http_side.good))
        http_side.endpoint.answer(http_side.path, Reply(status, headers={"Location": other.url("/other")}))
        with contextlib.suppress(CallFailed, NotMeasured):
            await http_side.provider.measure(http_side.config, context())
        told = {name.lower() for asked in other.asked for name in asked.headers}
        assert told <= {"host", "user-agent", "accept", "accept-encoding"}
        assert not [asked.body for asked in other.asked if asked.body]


class Hasty(Outbound):
    """Lets each call take a part of a second of the time that it asks for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked_for: list[float] = []

    async def send(self, call: Call) -> Answer:
        self.asked_for.append(call.timeout)
        return await super().send(replace(call, timeout=0.3))


@pytest.mark.parametrize("name", OVER_HTTP)
async def test_a_call_has_half_a_minute_at_most_and_bytes_that_drip_do_not_prolong_it(name, endpoint, kube, tools):
    async with Hasty() as outbound:
        side = OVER_HTTP[name](endpoint, kube, replace(tools, outbound=outbound))
        assert "no answer within 0.3 s" in await fails(side, Reply(body=b" " * 1000, drip=True))
        assert max(outbound.asked_for) <= 30.0


async def test_every_server_is_told_who_asks(http_side):
    http_side.works()
    await http_side.provider.measure(http_side.config, context())
    assert {asked.headers["User-Agent"] for asked in http_side.endpoint.asked} == {"tidegate-analyzer"}


async def test_credentials_that_a_server_repeats_are_not_told(http_side):
    credentials = ("4pi", "4pp", "t0ken", "k3y", "s3cret")
    for body in (" ".join(credentials), json.dumps({"message": " ".join(credentials), "__type": "SignatureDoesNotMatch"})):
        http_side.endpoint.answer(http_side.path, Reply(400, body.encode()))
        with pytest.raises(NotMeasured) as told:
            await http_side.provider.measure(http_side.config, context())
        sent = " ".join(http_side.endpoint.asked[-1].headers.values())
        assert not [each for each in credentials if each in sent and each in str(told.value)]


# --- web ----------------------------------------------------------------------------------------------------------------


@pytest.fixture
def web(tools: Tools) -> Provider:
    return PROVIDERS["web"](tools)


async def asked_web(web, endpoint, *replies: Reply, path="/m", **config):
    endpoint.answer(path, *replies)
    return await web.measure({"url": endpoint.url(path), **config}, context())


@pytest.mark.parametrize(
    ("body", "path", "result", "value"),
    [
        pytest.param(
            b'{"data":{"ok":true,"rate":0.99}}', "{$.data}", {"ok": True, "rate": 0.99}, '{"ok":true,"rate":0.99}', id="object"
        ),
        pytest.param(b'{"b":1,"a":[1,2]}', "", {"a": [1.0, 2.0], "b": 1.0}, '{"a":[1,2],"b":1}', id="the whole, keys sorted"),
        pytest.param(b'{"n":42}', "{$.n}", 42.0, "42", id="a number"),
        pytest.param(b'{"n":1e21}', "{$.n}", 1e21, "1e+21", id="a large number"),
        pytest.param(b'{"s":"a<b"}', "{$.s}", "a<b", '"a\\u003cb"', id="text, escaped as Go does"),
        pytest.param(b'{"n":null}', "{$.n}", None, "null", id="null"),
        pytest.param(b'[{"v":1},{"v":2}]', "{[*].v}", 1.0, "1", id="the first of several"),
        pytest.param(b"ok", "{$.data}", "ok", "ok", id="no JSON: the path is ignored"),
        pytest.param(b"", "", "", "", id="nothing"),
        pytest.param(b'{"n":NaN}', "{$.n}", '{"n":NaN}', '{"n":NaN}', id="NaN is no JSON"),
        pytest.param(b'{"n":1e400}', "{$.n}", '{"n":1e400}', '{"n":1e400}', id="a number out of range is no JSON"),
        pytest.param(b'{"n":1} x', "{$.n}", '{"n":1} x', '{"n":1} x', id="more after the JSON is no JSON"),
        pytest.param(b"[" * 100_000, "", "[" * 100_000, "[" * 100_000, id="nested too deeply is no JSON"),
        pytest.param(b"\xff\xfe", "", "\ufffd\ufffd", "\ufffd\ufffd", id="no text at all"),
    ],
)
async def test_web_reads_an_answer(web, endpoint, body, path, result, value):
    outcome = await asked_web(web, endpoint, Reply(body=body), jsonPath=path)
    assert (outcome.result, outcome.value) == (result, value)


@pytest.mark.parametrize("status", [200, 201, 204, 299])
async def test_web_takes_any_status_of_success(web, endpoint, status):
    assert isinstance(await asked_web(web, endpoint, Reply(status)), Measured)


@pytest.mark.parametrize("status", [304, 400, 404, 500, 503])
async def test_web_takes_no_other_status(web, endpoint, status):
    with pytest.raises(NotMeasured, match=f"^received non 2xx response code: {status}$"):
        await asked_web(web, endpoint, Reply(status, b"1"))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"jsonPath": "{$.absent}"}, "Could not find JSONPath in body: absent is not found"),
        ({"jsonPath": "{$.list[*]}"}, "result of web metric produced no value"),
        ({"body": "x", "jsonBody": {}, "method": "POST"}, "use either Body or JSONBody; both cannot exists for WebMetric payload"),
        ({"body": "x"}, "Body/JSONBody can only be used with POST or PUT WebMetric Method types"),
        ({"jsonBody": {}}, "Body/JSONBody can only be used with POST or PUT WebMetric Method types"),
        ({"method": "DELETE"}, "method 'DELETE' is not one of GET, POST, PUT"),
    ],
)
async def test_web_says_what_is_wrong_in_the_peers_words(web, endpoint, config, message):
    with pytest.raises(NotMeasured) as told:
        await asked_web(web, endpoint, Reply(body=b'{"list":[]}'), **config)
    assert str(told.value) == message


@pytest.mark.parametrize(
    ("body", "why"),
    [(b"[" * 600 + b"]" * 600, "values are nested too deeply"), (b"[1" + b",1" * 400_000 + b"]", "step budget exceeded")],
    ids=["deep", "long"],
)
async def test_web_says_that_a_value_is_too_much_to_be_stored(web, endpoint, body, why):
    with pytest.raises(NotMeasured, match=f"the value cannot be stored: {why}"):
        await asked_web(web, endpoint, Reply(body=body))


async def test_web_sends_the_users_headers_and_adds_none_of_its_own(web, endpoint):
    await asked_web(web, endpoint, Reply(), headers=[{"key": "X-Team", "value": "shop"}])
    sent = endpoint.asked[0]
    assert sent.method == "GET"
    assert {name.lower() for name in sent.headers} == {"host", "user-agent", "accept-encoding", "x-team"}


async def test_web_posts_a_json_body_under_its_own_content_type(web, endpoint):
    body = {"window": "5m", "n": [1, {"deep": None}]}
    headers = [{"key": "content-type", "value": "text/plain"}]
    await asked_web(web, endpoint, Reply(), method="POST", jsonBody=body, headers=headers)
    sent = endpoint.asked[0]
    assert (sent.method, orjson.loads(sent.body)) == ("POST", body)
    assert [value for name, value in sent.headers.items() if name.lower() == "content-type"] == ["application/json"]


async def test_web_puts_a_raw_body_as_it_is(web, endpoint):
    await asked_web(web, endpoint, Reply(), method="PUT", body="a=ü")
    assert (endpoint.asked[0].method, endpoint.asked[0].body) == ("PUT", "a=ü".encode())
    assert "Content-Type" not in endpoint.asked[0].headers


async def test_web_gives_up_after_its_time_out_even_if_bytes_keep_dripping(tools, endpoint):
    async with Outbound() as outbound:
        web = PROVIDERS["web"](replace(tools, outbound=outbound))
        with pytest.raises(CallFailed, match=r'^GET "http://127.0.0.1:\d+/m": no answer within 1 s$'):
            await asked_web(web, endpoint, Reply(body=b"x" * 1000, drip=True), timeoutSeconds=1)


async def test_web_follows_redirects(web, endpoint):
    endpoint.answer("/there", Reply(body=b"7"))
    outcome = await asked_web(web, endpoint, Reply(302, headers={"Location": "/there"}))
    assert outcome.result == 7.0


async def test_web_does_not_follow_redirects_for_ever(web, endpoint):
    with pytest.raises(CallFailed, match="stopped after 10 redirects"):
        await asked_web(web, endpoint, Reply(302, headers={"Location": "/m"}))
    assert len(endpoint.asked) == 11


async def test_web_keeps_no_cookie_for_the_next_metric(web, endpoint):
    await asked_web(web, endpoint, Reply(headers={"Set-Cookie": "session=1; Path=/"}))
    await asked_web(web, endpoint, Reply())
    assert "Cookie" not in endpoint.asked[1].headers


async def test_web_says_that_nobody_listens(web):
    with pytest.raises(CallFailed, match=r'^GET "http://127.0.0.1:1/": .+'):
        await web.measure({"url": "http://127.0.0.1:1/"}, context())


@pytest.mark.parametrize("url", ["", "no-scheme", "ftp://example.test/", "http://"])
async def test_web_says_that_a_url_cannot_be_called(web, url):
    with pytest.raises(CallFailed, match=f'^GET "{url}": .+'):
        await web.measure({"url": url}, context())


# --- whom providers may call --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    ["http://169.254.169.254/latest/meta-data", "http://[fe80::1]/", "http://[::ffff:169.254.169.254]/", "http://2852039166/"],
)
async def test_the_metadata_service_is_not_called_however_it_is_written(web, url):
    with pytest.raises(CallFailed, match="is a link-local or metadata address; metric providers may not call those"):
        await web.measure({"url": url}, context())


async def test_with_an_allow_list_only_its_hosts_are_called_redirects_included(tools, endpoint):
    async with PatientOutbound(allow=["127.0.0.1"]) as outbound:
        web = PROVIDERS["web"](replace(tools, outbound=outbound))
        assert (await asked_web(web, endpoint, Reply(body=b"1"))).result == 1.0
        elsewhere = Reply(302, headers={"Location": "http://192.0.2.1/"})
        with pytest.raises(CallFailed, match=r"192\.0\.2\.1 is not in TIDEGATE_OUTBOUND_ALLOW"):
            await asked_web(web, endpoint, elsewhere)


@pytest.mark.parametrize(
    ("address", "refused"),
    [("169.254.0.1", True), ("fe80::1%eth0", True), ("fd00:ec2::254", True), ("100.100.100.200", True),
     ("10.0.0.1", False), ("127.0.0.1", False), ("fd00::1", False), ("8.8.8.8", False)],
)  # fmt: skip
def test_what_counts_as_a_metadata_address(address, refused):
    assert is_metadata(address) is refused


# --- OAuth 2 ------------------------------------------------------------------------------------------------------------

CLIENT = {"tokenUrl": "/token", "clientId": "id", "clientSecret": "s&cret", "scopes": ["a", "b"]}


def with_oauth2(endpoint, **changes):
    oauth2 = {**CLIENT, **changes}
    return {"authentication": {"oauth2": {**oauth2, "tokenUrl": endpoint.url(oauth2["tokenUrl"])}}}


async def test_oauth2_fetches_a_token_and_shows_it(web, endpoint):
    endpoint.answer("/token", Reply(body=b'{"access_token":"t0ken","token_type":"Bearer"}'))
    await asked_web(web, endpoint, Reply(), **with_oauth2(endpoint))
    token, call = endpoint.asked
    assert fields(token) == {"grant_type": "client_credentials", "scope": "a b"}
    assert base64.b64decode(token.headers["Authorization"].removeprefix("Basic ")) == b"id:s%26cret"
    assert call.headers["Authorization"] == "Bearer t0ken"


async def test_oauth2_offers_its_credentials_in_the_form_where_the_header_is_refused(web, endpoint):
    endpoint.answer("/token", Reply(401), Reply(body=b'{"access_token":"t0ken"}'))
    await asked_web(web, endpoint, Reply(), **with_oauth2(endpoint))
    assert fields(endpoint.asked[1]) == {
        "grant_type": "client_credentials", "scope": "a b", "client_id": "id", "client_secret": "s&cret",
    }  # fmt: skip


async def test_oauth2_empty_as_kubectl_may_write_it_is_none(web, endpoint):
    await asked_web(web, endpoint, Reply(), authentication={"basicAuth": {}, "oauth2": {}, "sigv4": {}})
    assert len(endpoint.asked) == 1


@pytest.mark.parametrize(
    ("changes", "reply", "message"),
    [
        ({"clientSecret": ""}, Reply(), "missing mandatory parameter in metric for OAuth2 setup"),
        ({}, Reply(400, b"bad client"), "oauth2: cannot fetch token: 400 bad client"),
        ({}, Reply(body=b"<html>"), "oauth2: cannot fetch token: the answer is not JSON"),
        ({}, Reply(body=b"{}"), "oauth2: server response missing access_token"),
    ],
)
async def test_oauth2_says_why_there_is_no_token(web, endpoint, changes, reply, message):
    endpoint.answer("/token", reply)
    with pytest.raises(NotMeasured) as told:
        await asked_web(web, endpoint, Reply(), **with_oauth2(endpoint, **changes))
    assert str(told.value) == message


# --- prometheus ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def prometheus(tools: Tools) -> Provider:
    return PROVIDERS["prometheus"](tools)


def success(kind: str, result: Any, **more: Any) -> Reply:
    return Reply(body=orjson.dumps({"status": "success", "data": {"resultType": kind, "result": result}, **more}))


async def asked_prometheus(prometheus, endpoint, *replies, path="/api/v1/query", **config):
    endpoint.answer(path, *replies)
    return await prometheus.measure({"address": endpoint.url(""), "query": "up", **config}, context())


SERIES = [{"metric": {"pod": "a"}, "value": [1, "0.95"]}, {"metric": {"pod": "b"}, "value": [1, "1"]}]
POINTS = [{"metric": {}, "values": [[1, "1"], [2, "2.5"]]}, {"metric": {}, "values": [[1, "3"]]}]


@pytest.mark.parametrize(
    ("kind", "answer", "result", "value"),
    [
        pytest.param("scalar", [1, "1.5"], 1.5, "1.5", id="scalar"),
        pytest.param("vector", SERIES, [0.95, 1.0], "[0.95,1]", id="vector"),
        pytest.param("vector", [], [], "[]", id="empty vector"),
        pytest.param("matrix", POINTS, [1.0, 2.5, 3.0], "[1,2.5,3]", id="matrix"),
        pytest.param("scalar", [1, "+Inf"], math.inf, "+Inf", id="infinity"),
        pytest.param("scalar", [1, "1e+21"], 1e21, "1000000000000000000000", id="no exponent"),
        pytest.param("scalar", [1, "1e-07"], 1e-07, "0.0000001", id="no negative exponent"),
    ],
)
async def test_prometheus_reads_an_answer(prometheus, endpoint, kind, answer, result, value):
    outcome = await asked_prometheus(prometheus, endpoint, success(kind, answer))
    assert (outcome.result, outcome.value) == (result, value)


async def test_prometheus_reads_nan(prometheus, endpoint):
    outcome = await asked_prometheus(prometheus, endpoint, success("vector", [{"value": [1, "NaN"]}]))
    assert math.isnan(outcome.result[0])
    assert outcome.value == "[NaN]"


async def test_prometheus_posts_the_query_of_this_moment(prometheus, endpoint):
    outcome = await asked_prometheus(prometheus, endpoint, success("scalar", [1, "1"]), query='rate(x{a="b"}[5m])')
    sent = endpoint.asked[0]
    assert (sent.method, sent.headers["Content-Type"]) == ("POST", "application/x-www-form-urlencoded")
    assert fields(sent) == {"query": 'rate(x{a="b"}[5m])', "time": "1795176000.25"}
    assert outcome.about == {"ResolvedPrometheusQuery": 'rate(x{a="b"}[5m])'}


@pytest.mark.parametrize("status", [403, 405, 501])
async def test_prometheus_asks_by_get_where_post_is_not_taken(prometheus, endpoint, status):
    outcome = await asked_prometheus(prometheus, endpoint, Reply(status), success("scalar", [1, "1"]))
    assert outcome.result == 1.0
    assert endpoint.asked[1].method == "GET"
    assert parse_qs(endpoint.asked[1].path.partition("?")[2])["query"] == ["up"]


async def test_prometheus_asks_for_a_range(prometheus, endpoint):
    ranged = {"start": 'now() - duration("10m")', "end": "now()", "step": "1m"}
    path = "/api/v1/query_range"
    await asked_prometheus(prometheus, endpoint, success("matrix", POINTS), path=path, rangeQuery=ranged)
    assert fields(endpoint.asked[0]) == {"query": "up", "start": "1795175400.25", "end": "1795176000.25", "step": "60"}


async def test_prometheus_logs_in_with_name_and_password_and_the_users_headers(prometheus, endpoint):
    login = {"basicAuth": {"username": "me", "password": "pw"}}
    headers = [{"key": "X-Scope-OrgID", "value": "shop"}]
    await asked_prometheus(prometheus, endpoint, success("scalar", [1, "1"]), authentication=login, headers=headers)
    assert endpoint.asked[0].headers["Authorization"] == "Basic " + base64.b64encode(b"me:pw").decode()
    assert endpoint.asked[0].headers["X-Scope-OrgID"] == "shop"


async def test_prometheus_takes_the_services_address_where_a_metric_names_none(tools, endpoint):
    endpoint.answer("/api/v1/query", success("scalar", [1, "1"]))
    provider = PROVIDERS["prometheus"](replace(tools, settings=Settings(prometheus_address=endpoint.url(""))))
    assert (await provider.measure({"query": "up"}, context())).result == 1.0


WORKSPACE = "/aps-workspaces/ws-1/api/v1/query"


async def asked_amazon(tools, endpoint, *replies, **sigv4):
    endpoint.answer(WORKSPACE, *replies)
    provider = PROVIDERS["prometheus"](replace(tools, settings=Settings(aws=AWS_KEYS)))
    config = {"address": endpoint.url("/aps-workspaces/ws-1"), "query": "up or vector(1)", "authentication": {"sigv4": sigv4}}
    return await provider.measure(config, context())


async def test_prometheus_of_amazon_gets_signed_questions(tools, endpoint):
    await asked_amazon(tools, endpoint, success("scalar", [1, "1"]), region="eu-west-1")
    sent = endpoint.asked[0].headers
    assert sent["Authorization"].startswith("AWS4-HMAC-SHA256 Credential=AKID/20261120/eu-west-1/aps/aws4_request, ")
    assert (sent["X-Amz-Date"], sent["X-Amz-Security-Token"]) == ("20261120T120000Z", "t0ken")


async def test_prometheus_of_amazon_asked_by_get_is_signed_anew_without_a_plus(tools, endpoint):
    await asked_amazon(tools, endpoint, Reply(405), success("scalar", [1, "1"]), region="eu-west-1")
    post, get = endpoint.asked
    assert (get.method, "up%20or%20vector%281%29" in get.path) == ("GET", True)
    assert post.headers["Authorization"] != get.headers["Authorization"]


async def test_prometheus_signs_nothing_that_is_not_for_amazon(tools, endpoint):
    endpoint.answer("/api/v1/query", success("scalar", [1, "1"]))
    provider = PROVIDERS["prometheus"](replace(tools, settings=Settings(aws=AWS_KEYS)))
    config = {"address": endpoint.url(""), "query": "up", "authentication": {"sigv4": {"region": "eu-west-1"}}}
    await provider.measure(config, context())
    assert "Authorization" not in endpoint.asked[0].headers


async def test_prometheus_of_amazon_needs_a_region(tools, endpoint):
    with pytest.raises(CallFailed, match=r"^region not configured in sigv4 or in the AWS default credentials chain$"):
        await asked_amazon(tools, endpoint, success("scalar", [1, "1"]), profile="p")


async def test_prometheus_hands_its_warnings_on(prometheus, endpoint):
    outcome = await asked_prometheus(prometheus, endpoint, success("scalar", [1, "1"], warnings=["slow", "partial"]))
    assert outcome.metadata == {"warnings": '"slow", "partial"'}


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"address": ""}, "prometheus address is not configured"),
        ({"address": "prometheus:9090/x"}, "prometheus address is not is url format"),
        ({"timeout": -1}, "prometheus timeout should not be negative"),
        (
            {"authentication": {"basicAuth": {"username": "me"}}},
            "missing mandatory parameter in metric for basic auth setup: password",
        ),
        (
            {"authentication": {"basicAuth": {"password": "pw"}}},
            "missing mandatory parameter in metric for basic auth setup: username",
        ),
        ({"rangeQuery": {"start": "1", "end": "now()", "step": "1m"}}, "failed to parse rangeQuery.start as time: it yields 1"),
    ],
)
async def test_prometheus_says_what_is_wrong_with_a_metric(prometheus, endpoint, config, message):
    with pytest.raises(NotMeasured) as told:
        await asked_prometheus(prometheus, endpoint, success("scalar", [1, "1"]), **config)
    assert str(told.value) == message


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (success("string", [1, "x"]), "Prometheus metric type not supported"),
        (Reply(400, b'{"status":"error","errorType":"bad_data","error":"parse error"}'), "bad_data: parse error"),
        (Reply(503, b"upstream is down"), "server_error: server error: 503"),
        (Reply(404, b"no"), "client_error: client error: 404"),
        (Reply(200, b"<html>"), "bad_response: the answer is not one of the Prometheus HTTP API"),
        (success("vector", [{"value": [1, "many"]}]), "bad_response: a vector that cannot be read"),
        (success("scalar", None), "bad_response: a scalar that cannot be read"),
    ],
)
async def test_prometheus_says_what_is_wrong_with_an_answer(prometheus, endpoint, reply, message):
    with pytest.raises(NotMeasured) as told:
        await asked_prometheus(prometheus, endpoint, reply)
    assert str(told.value) == message


# --- credentials --------------------------------------------------------------------------------------------------------

NEEDED = {"datadog": "datadog", "influxdb": "influxdb", "newRelic": "newrelic", "wavefront": "wavefront-api-tokens"}
QUERY = {"query": "q", "address": "a.test"}


@pytest.mark.parametrize("name", ["influxdb", "newRelic", "wavefront"])
async def test_a_missing_secret_is_named(tools, name):
    with pytest.raises(NotMeasured) as told:
        await PROVIDERS[name](tools).measure(QUERY, context())
    assert str(told.value) == f'secrets "{NEEDED[name]}" not found'


@pytest.mark.parametrize("name", NEEDED)
async def test_a_secret_that_may_not_be_read_is_said(tools, kube, name):
    def refuse(_call: Any) -> None:
        raise Forbidden("secrets is forbidden", status=403)

    kube.before = refuse
    with pytest.raises(NotMeasured, match=r"^secrets is forbidden$"):
        await PROVIDERS[name](tools).measure(QUERY, context())


@pytest.mark.parametrize(("name", "keys"), [("influxdb", ("address", "authToken", "org")), ("newRelic", ("personal-api-key",))])
async def test_another_profile_is_another_secret_of_the_services_namespace(tools, kube, name, keys):
    put_secret(kube, "mine", "shop", **dict.fromkeys(keys, "x"))
    with pytest.raises(NotMeasured, match=r'^secrets "mine" not found$'):
        await PROVIDERS[name](tools).measure({**QUERY, "profile": "mine"}, context())


async def asked_datadog(tools: Tools, endpoint: Endpoint, own: DatadogLogin | None = None, **reference: Any) -> tuple[str, str]:
    """The keys that arrived."""
    endpoint.answer("/api/v1/query", Reply(body=DatadogSide.good))
    provider = PROVIDERS["datadog"](replace(tools, settings=Settings(datadog=own)))
    await provider.measure({"query": "q", **({"secretRef": reference} if reference else {})}, context())
    sent = {name.lower(): value for name, value in endpoint.asked[-1].headers.items()}
    return sent["dd-api-key"], sent["dd-application-key"]


async def test_datadog_takes_the_secret_a_metric_names_else_the_environment_else_the_common_one(tools, kube, endpoint):
    for name, namespace, keys in (
        ("datadog", "tidegate-system", "common"), ("mine", "tidegate-system", "mine"), ("mine", "shop", "shops"),
    ):  # fmt: skip
        put_secret(kube, name, namespace, **{"address": endpoint.url(""), "api-key": keys, "app-key": keys})
    own = DatadogLogin(address=endpoint.url(""), api_key="env", app_key="env")
    assert await asked_datadog(tools, endpoint) == ("common", "common")
    assert await asked_datadog(tools, endpoint, own) == ("env", "env")
    assert await asked_datadog(tools, endpoint, own, name="mine") == ("mine", "mine")
    assert await asked_datadog(tools, endpoint, own, name="mine", namespaced=True) == ("shops", "shops")


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ({"namespaced": True}, "secret name is required for namespaced credentials"),
        ({"name": "absent"}, "failed to find the credentials for datadog metrics provider"),
        ({"name": "half"}, "failed to find the credentials for datadog metrics provider"),
        ({}, "failed to find the credentials for datadog metrics provider"),
    ],
)
async def test_datadog_says_that_it_has_no_credentials_in_the_peers_words(tools, kube, endpoint, reference, message):
    put_secret(kube, "half", **{"api-key": "a"})
    with pytest.raises(NotMeasured) as told:
        await asked_datadog(tools, endpoint, None, **reference)
    assert str(told.value) == message


# --- New Relic ----------------------------------------------------------------------------------------------------------


async def test_new_relic_asks_again_when_it_is_busy_and_gives_up_in_the_end(endpoint, kube, tools):
    side = NewRelicSide(endpoint, kube, tools)
    endpoint.answer(side.path, Reply(429), Reply(503), Reply(body=side.good))
    assert (await side.provider.measure(side.config, context())).result == {"rate": 0.5}
    assert side.pauses == [1.0, 2.0]
    endpoint.answer(side.path, Reply(429, b"busy"))
    with pytest.raises(NotMeasured, match=r"^429 response returned: busy$"):
        await side.provider.measure(side.config, context())
    assert len(endpoint.asked) == 3 + 4


async def test_new_relic_does_not_ask_again_with_a_key_that_was_refused(endpoint, kube, tools):
    side = NewRelicSide(endpoint, kube, tools)
    endpoint.answer(side.path, Reply(401))
    with pytest.raises(NotMeasured, match=r"^401 response returned: $"):
        await side.provider.measure(side.config, context())
    assert (len(endpoint.asked), side.pauses) == (1, [])


# --- CloudWatch ---------------------------------------------------------------------------------------------------------


async def test_cloud_watch_is_asked_with_a_signature(endpoint, tools):
    side = CloudWatchSide(endpoint, tools)
    side.works()
    await side.provider.measure(side.config, context())
    sent = endpoint.asked[0]
    assert sent.headers["X-Amz-Target"] == "GraniteServiceVersion20100801.GetMetricData"
    assert sent.headers["Authorization"].startswith("AWS4-HMAC-SHA256 Credential=AKID/20261120/eu-west-1/monitoring/aws4_request, ")
    assert orjson.loads(sent.body)["MetricDataQueries"] == [{"Id": "rate", "Expression": "1/2"}]


# --- Kayenta ------------------------------------------------------------------------------------------------------------


async def test_kayenta_is_asked_every_15_seconds_until_there_is_a_score(endpoint, tools):
    side = KayentaSide(endpoint, tools)
    side.works()
    started = await side.provider.measure(side.config, context())
    assert started == Unfinished(resume_at=NOW + timedelta(seconds=15), metadata={"canaryExecutionId": "e1"})
    score = b'{"complete":true,"result":{"judgeResult":{"score":{"score":80.5}}}}'
    endpoint.answer("/canary/e1", Reply(body=b'{"complete":false}'), Reply(body=score))
    assert isinstance(side.provider, Resumable)
    assert await side.provider.resume(side.config, context(), started.metadata) == started
    decided = await side.provider.resume(side.config, context(), started.metadata)
    assert decided == Decided(phase="Inconclusive", value="80", metadata=started.metadata)


async def test_kayenta_is_no_longer_waited_for_when_its_run_is_terminated(endpoint, tools):
    side = KayentaSide(endpoint, tools)
    ended = await side.provider.terminate(side.config, context(), {"canaryExecutionId": "e1"})
    assert (ended.phase, ended.message, endpoint.asked) == ("Inconclusive", "Metric Terminated", [])


# --- job ----------------------------------------------------------------------------------------------------------------


@pytest.fixture
def job(tools: Tools) -> Provider:
    return PROVIDERS["job"](tools)


CHECK = {
    "metadata": {"labels": {"team": "shop"}, "annotations": {"why": "smoke"}},
    "spec": {"backoffLimit": 0, "template": {"metadata": {"labels": {"app": "check"}}, "spec": {"containers": []}}},
}
NAME = f"{UID}.rate.1"


def finish(kube: MemoryKube, kind: str) -> None:
    stored = kube.snapshot(JOB)[0]
    kube.put(JOB, {**stored, "status": {"conditions": [{"type": kind, "status": "True"}]}})


async def test_job_is_created_as_a_child_of_its_run_and_found_by_its_labels(job, kube):
    outcome = await job.measure(CHECK, context())
    created = kube.snapshot(JOB)[0]
    assert created["metadata"]["name"] == NAME
    assert created["metadata"]["labels"] == {"team": "shop", "analysisrun.argoproj.io/uid": UID}
    assert created["metadata"]["annotations"] == {
        "why": "smoke",
        "analysisrun.argoproj.io/name": "canary",
        "analysisrun.argoproj.io/namespace": "shop",
        "analysisrun.argoproj.io/metric-name": "rate",
    }
    assert created["spec"]["template"]["metadata"]["labels"] == {"app": "check", "analysisrun.argoproj.io/uid": UID}
    assert created["metadata"]["ownerReferences"][0]["uid"] == UID
    assert outcome == Unfinished(resume_at=NOW, metadata={"job-name": NAME, "job-namespace": "shop"})


async def test_job_is_not_started_twice_for_one_measurement(job, kube):
    await job.measure(CHECK, context())
    await job.measure(CHECK, context())
    assert len(kube.snapshot(JOB)) == 1


async def test_jobs_of_measurements_that_are_no_longer_shown_are_deleted(job, kube):
    for number in range(1, 6):
        await job.measure(CHECK, replace(context(number=number), kept=3))
    assert [each["metadata"]["name"] for each in kube.snapshot(JOB)] == [f"{UID}.rate.{number}" for number in (3, 4, 5)]


async def test_job_of_someone_else_is_not_taken_for_ones_own(job, kube):
    kube.put(JOB, {"metadata": {"namespace": "shop", "name": NAME}, "spec": {}})
    with pytest.raises(NotMeasured, match="already exists and belongs to someone else"):
        await job.measure(CHECK, context())


async def test_job_names_are_cut_to_what_a_label_holds(job, kube):
    await job.measure(CHECK, context(number=12, metric="a-very-long-metric-name-that-goes-on-and-on"))
    name = kube.snapshot(JOB)[0]["metadata"]["name"]
    assert (len(name), name[:37], name[-3:]) == (63, UID + ".", ".12")


@pytest.mark.parametrize(("kind", "phase"), [("Complete", "Successful"), ("Failed", "Failed")])
async def test_job_outcome_is_the_measurements(job, kube, kind, phase):
    started = await job.measure(CHECK, context())
    finish(kube, kind)
    outcome = await job.resume(CHECK, context(), started.metadata)
    assert outcome == Decided(phase=phase, metadata=started.metadata)


@pytest.mark.parametrize(("age", "pause"), [(0, 1), (2, 2), (200, 20), (7200, 120)])
def test_job_that_goes_on_is_looked_at_less_and_less_often(age, pause):
    running = {"metadata": {"creationTimestamp": (NOW - timedelta(seconds=age)).isoformat()}}
    assert next_poll(running, NOW) == NOW + timedelta(seconds=pause)


async def test_job_whose_image_cannot_be_pulled_is_inconclusive_at_once(job, kube):
    started = await job.measure(CHECK, context())
    waiting = {"name": "check", "state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}}
    pod = {"metadata": {"namespace": "shop", "name": "p", "labels": {"job-name": NAME}}, "status": {"containerStatuses": [waiting]}}
    kube.put(POD, pod)
    outcome = await job.resume(CHECK, context(), started.metadata)
    assert outcome.phase == "Inconclusive"
    assert outcome.message == "Pod p, container check has terminal error (ImagePullBackOff): no such image"


async def test_job_that_vanished_is_an_error(job, kube):
    started = await job.measure(CHECK, context())
    await kube.delete(JOB, "shop", NAME)
    with pytest.raises(NotMeasured, match=NAME):
        await job.resume(CHECK, context(), started.metadata)


async def test_job_is_deleted_when_its_run_is_terminated(job, kube):
    started = await job.measure(CHECK, context())
    outcome = await job.terminate(CHECK, context(), started.metadata)
    assert (kube.snapshot(JOB), outcome.phase) == ([], "Inconclusive")
    assert await job.terminate(CHECK, context(), started.metadata) == outcome
