"""The analyzer between a real bus, a real API server and a real HTTP endpoint."""

import asyncio
import base64
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tidegate.bus import ANALYZER_REQUESTS, Bus
from tidegate.config import Settings
from tidegate.keys import INSTANCE_ID
from tidegate.kube.errors import NotFound
from tidegate.kube.kinds import ANALYSIS_RUN, JOB, SECRET
from tidegate.messages import ANALYSIS, OUTCOMES, AnalysisConcluded, AnalysisMeasured, AnalysisRequested, EventsRecorded
from tidegate.testing import PatientOutbound, eventually, patient_bus
from tidegate_analyzer.app import now
from tidegate_analyzer.composition import Analyzer
from tidegate_analyzer.provider import Tools
from tidegate_analyzer.providers import built
from tidegate_analyzer.testing import Reply

pytestmark = pytest.mark.integration
PATIENCE = 300.0  # seconds; only costs time when something is broken


@contextlib.asynccontextmanager
async def an_analyzer(nats, kube, **settings) -> AsyncIterator[Bus]:
    """One replica in this process; its bus."""
    chosen = Settings(nats_url=nats.url, **settings)
    async with (
        patient_bus(chosen, service="analyzer") as bus,
        PatientOutbound() as outbound,
        Analyzer(
            settings=chosen, kube=kube, bus=bus, clock=now, providers=built(Tools(outbound=outbound, kube=kube, clock=now))
        ) as analyzer,
    ):
        running = asyncio.create_task(analyzer.run())
        bus.consume(ANALYZER_REQUESTS, {AnalysisRequested: analyzer.requests.handle})
        try:
            yield bus
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


@contextlib.asynccontextmanager
async def a_process(nats, control_plane, log: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """It has started: one that is asked to end before it can listen to that just ends."""
    environ = {**os.environ, "NATS_URL": nats.url, "KUBECONFIG": str(control_plane.kubeconfig), "PYTHONUNBUFFERED": "1"}
    script = Path(sys.executable).parent / "tidegate-analyzer"
    with log.open("wb") as output:
        running = await asyncio.create_subprocess_exec(str(script), env=environ, stdout=output, stderr=output)

    async def said() -> str:
        return await asyncio.to_thread(log.read_text)

    try:
        await eventually(said, lambda text: "service.started" in text, what="the analyzer to start")
        yield running
    finally:
        with contextlib.suppress(ProcessLookupError):
            running.kill()
        await running.wait()


def web(endpoint, path="/m", name="m", **fields):
    return {"name": name, "provider": {"web": {"url": endpoint.url(path)}}, **fields}


def manifest(namespace, *metrics, name="run", labels=None, **spec):
    metadata = {"namespace": namespace, "name": name, "labels": labels or {}}
    return {"kind": "AnalysisRun", "metadata": metadata, "spec": {"metrics": list(metrics), **spec}}


def request(namespace, *metrics, name="run", **spec):
    whole = manifest(namespace, *metrics, name=name, **spec)
    return AnalysisRequested(namespace=namespace, name=name, rollout="app", manifest=whole)


async def until(kube, namespace, holds, name="run"):
    """The run's status, once it is as wanted."""

    async def look():
        try:
            return (await kube.get(ANALYSIS_RUN, namespace, name)).get("status") or {}
        except NotFound:
            return {}

    return await eventually(look, holds, what=f"the status of {name}")


async def verdict(kube, namespace, name="run"):
    return await until(kube, namespace, lambda status: status.get("completedAt"), name)


def counted(status, metric="m"):
    return next((each.get("count", 0) for each in status.get("metricResults") or () if each["name"] == metric), 0)


async def heard(bus, stream, subject):
    return await eventually(lambda: bus.last(stream, subject), bool, what=subject)


async def test_a_requested_run_passes_and_everyone_hears_it(nats, kube, namespace, endpoint):
    endpoint.answer("/m", Reply(body=b'{"ok":true}'))
    async with an_analyzer(nats, kube) as bus:
        await bus.publish(request(namespace, web(endpoint, successCondition="result.ok")))
        status = await verdict(kube, namespace)
        concluded = await heard(bus, ANALYSIS, f"tidegate.analysis.concluded.{namespace}.run")
        measured = await heard(bus, ANALYSIS, f"tidegate.analysis.measured.{namespace}.run")
        recorded = await heard(bus, OUTCOMES, f"tidegate.recorded.analyzer.{namespace}.run")
    assert (status["phase"], status["runSummary"]) == ("Successful", {"count": 1, "successful": 1})
    uid = (await kube.get(ANALYSIS_RUN, namespace, "run"))["metadata"]["uid"]
    assert concluded.message == AnalysisConcluded(namespace=namespace, name="run", phase="Successful")
    assert concluded.envelope.id == f"{uid}.concluded"
    assert isinstance(measured.message, AnalysisMeasured)
    assert (measured.message.value, measured.envelope.id) == ('{"ok":true}', f"{uid}.m.1")
    assert isinstance(recorded.message, EventsRecorded)
    assert recorded.message.kind == "AnalysisRun"
    assert recorded.message.records[0].message == "Analysis Completed. Result: Successful"


async def test_as_many_measurements_are_kept_as_asked_for_and_all_are_counted(nats, kube, namespace, endpoint):
    endpoint.answer("/m", Reply(body=b"1"))
    kept = [{"metricName": "m", "limit": 1}]
    async with an_analyzer(nats, kube) as bus:
        await bus.publish(request(namespace, web(endpoint, count=3, interval="1s"), measurementRetention=kept))
        status = await verdict(kube, namespace)
    (result,) = status["metricResults"]
    assert (status["phase"], result["count"], len(result["measurements"])) == ("Successful", 3, 1)


async def test_a_run_fails_with_the_peers_words(nats, kube, namespace, endpoint):
    endpoint.answer("/m", Reply(body=b'{"ok":false}'))
    async with an_analyzer(nats, kube) as bus:
        await bus.publish(request(namespace, web(endpoint, successCondition="result.ok")))
        status = await verdict(kube, namespace)
    assert (status["phase"], status["message"]) == ("Failed", 'Metric "m" assessed Failed due to failed (1) > failureLimit (0)')


async def test_errors_beyond_their_limit_end_a_run_as_error(nats, kube, namespace, endpoint):
    endpoint.answer("/m", Reply(500))
    async with an_analyzer(nats, kube) as bus:
        await bus.publish(request(namespace, web(endpoint, consecutiveErrorLimit=0)))
        status = await verdict(kube, namespace)
    assert status["message"] == (
        'Metric "m" assessed Error due to consecutiveErrors (1) > consecutiveErrorLimit (0): '
        '"Error Message: received non 2xx response code: 500"'
    )


async def test_neither_good_nor_bad_is_inconclusive(nats, kube, namespace, endpoint):
    endpoint.answer("/m", Reply(body=b"0.7"))
    async with an_analyzer(nats, kube) as bus:
        await bus.publish(request(namespace, web(endpoint, successCondition="result > 0.9", failureCondition="result < 0.5")))
        assert (await verdict(kube, namespace))["phase"] == "Inconclusive"


async def test_a_run_is_ended_by_a_message_and_stays_ended_when_asked_twice(nats, kube, namespace, endpoint):
    endpoint.answer("/m", Reply(body=b"1"))
    end = AnalysisRequested(namespace=namespace, name="run", rollout="app", terminate=True)
    async with an_analyzer(nats, kube) as bus:
        await bus.publish(request(namespace, web(endpoint, interval="1s")))
        await until(kube, namespace, lambda status: counted(status) >= 2)
        await bus.publish(end)
        status = await verdict(kube, namespace)
        await bus.publish(end)
        await bus.publish(request(namespace, web(endpoint, interval="1s")))
        await asyncio.sleep(1.5)
        assert await verdict(kube, namespace) == status
    assert (status["phase"], status["message"]) == ("Successful", "Run Terminated")


async def test_a_run_made_by_hand_is_measured_too(nats, kube, namespace, endpoint):
    endpoint.answer("/m", Reply(body=b"1"))
    async with an_analyzer(nats, kube):
        await kube.create(ANALYSIS_RUN, manifest(namespace, web(endpoint, interval="1s", count=2)))
        status = await verdict(kube, namespace)
    assert (status["phase"], counted(status)) == ("Successful", 2)


async def test_a_run_that_was_there_before_the_analyzer_is_measured(nats, kube, namespace, endpoint):
    endpoint.answer("/m", Reply(body=b"1"))
    await kube.create(ANALYSIS_RUN, manifest(namespace, web(endpoint)))
    async with an_analyzer(nats, kube):
        assert (await verdict(kube, namespace))["phase"] == "Successful"


async def test_runs_of_another_instance_are_left_alone(nats, kube, namespace, endpoint):
    endpoint.answer("/m", Reply(body=b"1"))
    await kube.create(ANALYSIS_RUN, manifest(namespace, web(endpoint), name="theirs", labels={INSTANCE_ID: "blue"}))
    await kube.create(ANALYSIS_RUN, manifest(namespace, web(endpoint), name="ours"))
    async with an_analyzer(nats, kube):
        await verdict(kube, namespace, "ours")
        assert "status" not in await kube.get(ANALYSIS_RUN, namespace, "theirs")
    async with an_analyzer(nats, kube, instance_id="blue"):
        await verdict(kube, namespace, "theirs")


async def test_a_request_for_a_namespace_that_is_gone_is_done(nats, kube, namespace, endpoint):
    endpoint.answer("/m", Reply(body=b"1"))
    async with an_analyzer(nats, kube) as bus:
        await bus.publish(request("no-such-namespace", web(endpoint)))
        await bus.publish(request(namespace, web(endpoint)))
        await verdict(kube, namespace)

        async def pending():
            return (await bus.js.consumer_info(ANALYSIS, ANALYZER_REQUESTS.name)).num_ack_pending

        await eventually(pending, lambda count: not count, what="the request to be settled")


async def test_two_replicas_share_the_runs_and_double_nothing(nats, kube, namespace, endpoint):
    endpoint.answer("/m", Reply(body=b"1"))
    names = [f"run-{number}" for number in range(10)]
    async with an_analyzer(nats, kube), an_analyzer(nats, kube) as bus:
        for name in names:
            await bus.publish(request(namespace, web(endpoint, interval="1s", count=3), name=name))
        statuses = [await verdict(kube, namespace, name) for name in names]
    assert [counted(status) for status in statuses] == [3] * 10
    assert [len(status["metricResults"][0]["measurements"]) for status in statuses] == [3] * 10


async def test_a_secret_is_used_and_shows_nowhere_but_at_its_target(nats, kube, namespace, endpoint):
    endpoint.answer("/m", Reply(500))
    await kube.create(
        SECRET, {"metadata": {"namespace": namespace, "name": "api"}, "data": {"token": base64.b64encode(b"s3cr3t").decode()}}
    )
    metric = {
        "name": "m",
        "consecutiveErrorLimit": 0,
        "provider": {"web": {"url": "http://127.0.0.1:1/{{args.token}}", "headers": []}},
    }
    args = [{"name": "token", "valueFrom": {"secretKeyRef": {"name": "api", "key": "token"}}}]
    async with an_analyzer(nats, kube) as bus:
        await bus.publish(request(namespace, metric, args=args))
        status = await verdict(kube, namespace)
        measured = await heard(bus, ANALYSIS, f"tidegate.analysis.measured.{namespace}.run")
    assert "http://127.0.0.1:1/*****" in status["message"]
    assert "s3cr3t" not in str(status) + str(measured)


async def test_certificates_are_verified_unless_the_metric_says_otherwise(nats, kube, namespace, control_plane):
    url = f"{control_plane.client.server}/version"
    strict = {"name": "strict", "consecutiveErrorLimit": 0, "provider": {"web": {"url": url}}}
    login = [{"key": "Authorization", "value": f"Bearer {control_plane.client.token}"}]
    lax = {"name": "lax", "provider": {"web": {"url": url, "insecure": True, "headers": login, "jsonPath": "{$.major}"}}}
    async with an_analyzer(nats, kube) as bus:
        await bus.publish(request(namespace, strict, name="strict"))
        await bus.publish(request(namespace, lax, name="lax"))
        assert "CERTIFICATE_VERIFY_FAILED" in (await verdict(kube, namespace, "strict"))["message"]
        assert (await verdict(kube, namespace, "lax"))["metricResults"][0]["measurements"][0]["value"] == '"1"'


async def test_a_job_decides_and_belongs_to_its_run(nats, kube, namespace):
    containers = [{"name": "check", "image": "check"}]
    spec = {"template": {"spec": {"containers": containers, "restartPolicy": "Never"}}, "backoffLimit": 0}
    async with an_analyzer(nats, kube) as bus:
        await bus.publish(request(namespace, {"name": "m", "provider": {"job": {"spec": spec}}}))
        status = await verdict(kube, namespace)
    run = await kube.get(ANALYSIS_RUN, namespace, "run")
    measurement = status["metricResults"][0]["measurements"][0]
    job = await kube.get(JOB, namespace, measurement["metadata"]["job-name"])
    assert (status["phase"], measurement["phase"]) == ("Successful", "Successful")
    assert job["metadata"]["ownerReferences"][0]["uid"] == run["metadata"]["uid"]


async def test_an_expired_run_is_deleted(nats, kube, namespace, endpoint):
    endpoint.answer("/m", Reply(body=b"1"))
    async with an_analyzer(nats, kube) as bus:
        await bus.publish(request(namespace, web(endpoint), ttlStrategy={"secondsAfterCompletion": 1}))
        await heard(bus, ANALYSIS, f"tidegate.analysis.concluded.{namespace}.run")

        async def left():
            return (await kube.list(ANALYSIS_RUN, namespace))[0]

        await eventually(left, lambda runs: not runs, what="the run to be deleted")


async def test_a_killed_process_loses_no_measurement_and_the_next_one_doubles_none(
    nats, kube, namespace, endpoint, control_plane, tmp_path
):
    endpoint.answer("/m", Reply(body=b"1"))
    async with patient_bus(Settings(nats_url=nats.url), service="planner") as planner:
        await planner.publish(request(namespace, web(endpoint, interval="1s", count=9)))
        for killed_at in (2, 5):
            async with a_process(nats, control_plane, tmp_path / "log") as process:
                await until(kube, namespace, lambda status, least=killed_at: counted(status) >= least)
                process.kill()
                await process.wait()
        async with a_process(nats, control_plane, tmp_path / "log") as last:
            status = await verdict(kube, namespace)
            concluded = await heard(planner, ANALYSIS, f"tidegate.analysis.concluded.{namespace}.run")
            last.send_signal(signal.SIGTERM)
            async with asyncio.timeout(PATIENCE):
                assert await last.wait() == 0
    result = status["metricResults"][0]
    assert (status["phase"], result["count"], result["successful"], len(result["measurements"])) == ("Successful", 9, 9, 9)
    finished = [each["finishedAt"] for each in result["measurements"]]
    assert finished == sorted(finished)
    assert len(set(finished)) == 9
    assert isinstance(concluded.message, AnalysisConcluded)


RECORDED = json.loads((Path(__file__).parents[2] / "golden" / "analysis" / "recorded.json").read_text())["runs"]
TIMES = {"startedAt", "finishedAt", "completedAt"}


def without_times(value):
    if isinstance(value, dict):
        return {key: without_times(each) for key, each in value.items() if key not in TIMES}
    return [without_times(each) for each in value] if isinstance(value, list) else value


def in_order_of_name(status):
    """The peer lists results as they happened to finish."""
    return {**status, "metricResults": sorted(status["metricResults"], key=lambda result: result["name"])}


@pytest.mark.parametrize("recorded", RECORDED.values(), ids=RECORDED)
async def test_a_run_ends_as_the_peer_was_seen_to_end_it(nats, kube, namespace, endpoint, recorded):
    good = b'{"data":{"ok":true,"rate":0.99}}'
    endpoint.answer("/good", Reply(body=good))
    endpoint.answer("/bad", Reply(body=b'{"data":{"ok":false,"rate":0.5}}'))
    spec = json.loads(json.dumps(recorded["spec"]).replace("http://endpoint", endpoint.url("")))
    terminate, count = spec.pop("terminate", False), recorded["status"]["metricResults"][0]["count"]
    if terminate:  # the end comes before one measurement too many, whoever is slow: that one is never answered
        endpoint.answer("/good", *[Reply(body=good)] * count, Reply(body=good, delay=PATIENCE))
    told = []
    async with an_analyzer(nats, kube) as bus:
        subject = f"tidegate.recorded.analyzer.{namespace}.run"
        feed = bus.feed(OUTCOMES, subject, lambda message, _envelope: told.extend(message.records), beginning="new")
        await feed.caught_up.wait()
        await kube.create(ANALYSIS_RUN, {"metadata": {"namespace": namespace, "name": "run"}, "spec": spec})
        if terminate:
            await until(kube, namespace, lambda status: counted(status) == count)
            await kube.merge_patch(ANALYSIS_RUN, namespace, "run", {"spec": {"terminate": True}})
        status = await verdict(kube, namespace)
        await heard(bus, ANALYSIS, f"tidegate.analysis.concluded.{namespace}.run")

        async def records():
            return told

        await eventually(records, lambda seen: len(seen) >= len(recorded["events"]), what="all that is to be told")
        await asyncio.sleep(0.2)  # for one too many
    assert without_times(in_order_of_name(status)) == in_order_of_name(recorded["status"])
    events = [[record.type, record.reason, record.message] for record in told]
    assert sorted(events[:-1]) == sorted(recorded["events"][:-1])
    assert events[-1] == recorded["events"][-1]
