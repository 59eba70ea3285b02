"""One run from its first look to its verdict: what is asked of providers, what is written, and how often."""

import asyncio
import base64
from datetime import timedelta

import pytest

from tidegate.kube.errors import Conflict
from tidegate.kube.kinds import ANALYSIS_RUN, SECRET
from tidegate.messages import AnalysisConcluded, AnalysisMeasured, EventsRecorded
from tidegate_analyzer.provider import Decided, Measured, NotMeasured, Unfinished
from tidegate_analyzer.testing import World, metric
from tidegate_analyzer.testing.world import KEY, START


@pytest.fixture
def world() -> World:
    return World()


async def test_a_single_measurement_decides_and_is_one_write(world):
    world.create(metric(successCondition="result.ok"))
    world.script("m", {"ok": True, "rate": 0.99})
    analyzer = world.replica()
    await analyzer.look()
    assert world.status == {
        "phase": "Successful",
        "startedAt": "2026-11-20T12:00:00Z",
        "completedAt": "2026-11-20T12:00:00Z",
        "runSummary": {"count": 1, "successful": 1},
        "dryRunSummary": {},
        "metricResults": [
            {
                "name": "m",
                "phase": "Successful",
                "count": 1,
                "successful": 1,
                "consecutiveSuccess": 1,
                "measurements": [
                    {
                        "phase": "Successful",
                        "value": '{"ok":true,"rate":0.99}',
                        "startedAt": "2026-11-20T12:00:00Z",
                        "finishedAt": "2026-11-20T12:00:00Z",
                    }
                ],
            }
        ],
    }
    assert world.writes == 1


async def test_looking_again_at_a_finished_run_asks_and_writes_nothing(world):
    world.create(metric())
    world.script("m", True)
    analyzer = world.replica()
    for _ in range(3):
        await analyzer.look()
    assert (world.writes, len(world.memory.asked)) == (1, 1)


async def test_measurements_come_at_their_interval_and_each_is_numbered_once(world):
    world.create(metric(interval="30s", count=3))
    world.script("m", 1, 2, 3)
    await world.replica().until_verdict()
    assert [key.rsplit(".", 1)[1] for _, key in world.memory.asked] == ["1", "2", "3"]
    assert [each["finishedAt"] for each in world.result("m")["measurements"]] == [
        "2026-11-20T12:00:00Z",
        "2026-11-20T12:00:30Z",
        "2026-11-20T12:01:00Z",
    ]


async def test_a_measurement_that_ends_in_the_next_second_puts_off_none_that_follow(world):
    """The object's times are whole seconds: 12:00:01 is all that it can say of the end."""
    answer = asyncio.Event()
    world.now += timedelta(seconds=0.9)
    world.create(metric(interval="10s", count=3))
    world.script("m", answer)
    analyzer = world.replica()
    await analyzer.look()
    world.now += timedelta(seconds=0.3)
    answer.set()
    await analyzer.woken.wait()
    assert await analyzer.look() == START + timedelta(seconds=10.9)
    world.now = START + timedelta(seconds=11.3)  # a busy process is late
    assert await analyzer.look() == START + timedelta(seconds=20.9)
    assert await world.replica().look() == START + timedelta(seconds=21)  # who comes new has the object's times only


async def test_before_a_metric_is_due_nothing_is_asked(world):
    world.create(metric(interval="30s", count=2))
    world.script("m", 1)
    analyzer = world.replica()
    assert await analyzer.look() == START + timedelta(seconds=30)
    world.now += timedelta(seconds=29)
    assert await analyzer.look() == START + timedelta(seconds=30)
    assert len(world.memory.asked) == 1


async def test_an_initial_delay_counts_from_the_start_that_was_written_down(world):
    world.create(metric(initialDelay="1m"))
    world.script("m", 1)
    assert await world.replica().look() == START + timedelta(minutes=1)
    assert world.status["startedAt"] == "2026-11-20T12:00:00Z"
    world.now += timedelta(seconds=59)
    restarted = world.replica()
    assert await restarted.look() == START + timedelta(minutes=1)
    assert world.memory.asked == []


async def test_a_slow_metric_delays_no_other(world):
    slow = asyncio.Event()
    world.create(metric("slow"), metric("quick"))
    world.script("slow", slow)
    world.script("quick", 1)
    analyzer = world.replica()
    await analyzer.look()
    assert world.result("quick")["phase"] == "Successful"
    assert world.status["phase"] == "Running"
    slow.set()
    await analyzer.woken.wait()
    await analyzer.until_verdict()
    assert world.status["phase"] == "Successful"


async def test_metrics_that_finish_together_are_one_write(world):
    names = [f"m{number}" for number in range(20)]
    world.create(*(metric(name) for name in names))
    for name in names:
        world.script(name, 1)
    await world.replica().look()
    assert (world.writes, world.status["runSummary"]) == (1, {"count": 20, "successful": 20})


async def test_a_failed_metric_ends_the_run_and_what_is_under_way_is_cancelled(world):
    world.create(metric("bad", successCondition="result > 1"), metric("slow"))
    world.script("bad", 0)
    world.script("slow", asyncio.Event())
    analyzer = world.replica()
    await analyzer.look()
    assert world.status["phase"] == "Failed"
    assert world.status["message"] == 'Metric "bad" assessed Failed due to failed (1) > failureLimit (0)'
    await analyzer.look()
    assert [each["name"] for each in world.status["metricResults"]] == ["bad"]


async def test_five_errors_in_a_row_ten_seconds_apart_end_the_run_as_error(world):
    world.create(metric(interval="5m"))
    world.script("m", NotMeasured("it is down"))
    await world.replica().until_verdict()
    assert world.status["phase"] == "Error"
    assert world.status["message"] == (
        'Metric "m" assessed Error due to consecutiveErrors (5) > consecutiveErrorLimit (4): "Error Message: it is down"'
    )
    assert world.now - START == timedelta(seconds=40)


async def test_neither_success_nor_failure_is_inconclusive(world):
    world.create(metric(successCondition="result > 0.9", failureCondition="result < 0.5"))
    world.script("m", 0.7)
    await world.replica().until_verdict()
    assert world.status["phase"] == "Inconclusive"


async def test_an_unknown_provider_is_an_error_that_lists_the_known_ones(world):
    world.create({"name": "m", "provider": {"tea-leaves": {}}})
    await world.replica().look()
    assert world.result("m")["measurements"][0]["message"] == "unknown metric provider 'tea-leaves'; known: memory"


async def test_a_defect_of_a_provider_is_an_error_of_its_metric_only(world):
    world.create(metric("broken"), metric("fine"))
    world.script("broken", ZeroDivisionError("division by zero"))
    world.script("fine", 1)
    await world.replica().look()
    assert world.result("broken")["measurements"][0]["message"] == "ZeroDivisionError: division by zero"
    assert world.result("fine")["phase"] == "Successful"


# -- being told to end


async def test_a_terminated_run_takes_no_new_measurement_and_ends_with_what_it_knows(world):
    world.create(metric(interval="1m"))
    world.script("m", 1)
    analyzer = world.replica()
    await analyzer.look()
    world.change(terminate=True)
    await analyzer.look()
    assert (world.status["phase"], world.status["message"]) == ("Successful", "Run Terminated")
    assert len(world.memory.asked) == 1


async def test_a_run_terminated_before_it_began_is_successful_and_asks_nothing(world):
    world.create(metric(), terminate=True)
    world.script("m", 1)
    await world.replica().look()
    assert (world.status["phase"], world.memory.asked) == ("Successful", [])


async def test_terminating_cancels_a_measurement_that_does_not_answer(world):
    world.create(metric())
    world.script("m", asyncio.Event())
    analyzer = world.replica()
    await analyzer.look()
    world.change(terminate=True)
    await analyzer.look()
    assert world.status["phase"] == "Successful"


# -- work that goes on elsewhere


def going_on(turn, seconds=10):
    return Unfinished(resume_at=START + timedelta(seconds=seconds), metadata={"turn": str(turn)})


async def test_unfinished_work_is_written_down_and_resumed_by_whoever_comes_next(world):
    world.create(metric(successCondition="false"))
    world.script("m", going_on(0), Decided(phase="Successful", metadata={"turn": "1"}))
    assert await world.replica().look() == START + timedelta(seconds=10)
    assert world.result("m")["measurements"] == [
        {
            "phase": "Running",
            "startedAt": "2026-11-20T12:00:00Z",
            "resumeAt": "2026-11-20T12:00:10Z",
            "metadata": {"turn": "0"},
        }
    ]
    world.now += timedelta(seconds=10)
    await world.replica().look()
    assert [verb for verb, _ in world.memory.asked] == ["measure", "resume"]
    assert len({key for _, key in world.memory.asked}) == 1
    assert world.status["phase"] == "Successful"
    assert world.result("m")["count"] == 1


async def test_unfinished_work_is_terminated_with_its_run(world):
    world.create(metric())
    world.script("m", going_on(0))
    analyzer = world.replica()
    await analyzer.look()
    world.change(terminate=True)
    await analyzer.look()
    assert [verb for verb, _ in world.memory.asked] == ["measure", "terminate"]
    assert world.status["phase"] == "Inconclusive"
    assert world.result("m")["measurements"][0]["message"] == "Metric Terminated"


# -- two analyzers, restarts, refused writes


async def test_two_analyzers_on_one_run_count_no_measurement_twice(world):
    world.create(metric(interval="10s", count=4))
    world.script("m", 1)
    first, second = world.replica(), world.replica()
    for _ in range(10):
        await asyncio.gather(first.look(), second.look(), return_exceptions=True)
        if world.status.get("completedAt"):
            break
        world.now += timedelta(seconds=10)
    assert world.result("m")["count"] == 4
    assert len(world.result("m")["measurements"]) == 4
    await asyncio.gather(first.look(), second.look())
    assert len(world.post.of(AnalysisMeasured)) == 4


async def test_a_refused_write_loses_no_measurement(world):
    world.create(metric())
    world.script("m", 1)
    analyzer = world.replica()

    def once(call):
        if call.verb == "merge_patch":
            world.kube.before = lambda _call: None
            raise Conflict("changed meanwhile", status=409)

    world.kube.before = once
    with pytest.raises(Conflict):
        await analyzer.look()
    await analyzer.look()
    assert (len(world.memory.asked), world.result("m")["count"]) == (1, 1)


async def test_a_write_whose_answer_was_lost_is_not_counted_again(world):
    world.create(metric(interval="1m", count=2))
    world.script("m", 1)
    analyzer = world.replica()

    def once(call):
        if call.verb == "merge_patch":
            world.kube.after = lambda _call: None
            raise Conflict("the answer was lost", status=409)

    world.kube.after = once
    with pytest.raises(Conflict):
        await analyzer.look()
    await analyzer.look()
    assert (len(world.memory.asked), world.result("m")["count"]) == (1, 1)


async def test_an_object_that_changed_during_the_measurement_keeps_the_change_and_the_measurement(world):
    slow = asyncio.Event()
    world.create(metric())
    world.script("m", slow)
    analyzer = world.replica()
    await analyzer.look()
    run = world.run
    world.kube.put(ANALYSIS_RUN, {**run, "metadata": {**run["metadata"], "labels": {"seen": "yes"}}})
    slow.set()
    await analyzer.until_verdict()
    assert world.run["metadata"]["labels"] == {"seen": "yes"}
    assert world.status["phase"] == "Successful"


# -- arguments and Secrets


def secret(world, **data):
    encoded = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
    world.kube.put(SECRET, {"metadata": {"namespace": "shop", "name": "api"}, "data": encoded})


TOKEN = {"name": "token", "valueFrom": {"secretKeyRef": {"name": "api", "key": "token"}}}


async def test_arguments_reach_provider_count_and_condition(world):
    args = [{"name": "script", "value": "m"}, {"name": "n", "value": "2"}, {"name": "least", "value": "0.5"}]
    world.create(
        metric(script="{{args.script}}", count="{{ args.n }}", interval="1s", successCondition="result > {{args.least}}"), args=args
    )
    world.script("m", 0.9)
    await world.replica().until_verdict()
    assert (world.status["phase"], world.result("m")["count"]) == ("Successful", 2)


async def test_a_metrics_name_may_hold_an_argument(world):
    world.create(metric("rate-{{args.host}}", script="m"), args=[{"name": "host", "value": "a"}])
    world.script("m", 1)
    await world.replica().until_verdict()
    assert world.result("rate-a")["phase"] == "Successful"


async def test_a_secret_reaches_the_provider_and_no_message(world):
    secret(world, token="s3cr3t")
    world.create({"name": "m", "provider": {"memory": {"script": "m", "header": "Bearer {{args.token}}"}}}, args=[TOKEN])
    world.script("m", NotMeasured("refused: Bearer s3cr3t"))
    await world.replica().look()
    assert world.memory.configs[0]["header"] == "Bearer s3cr3t"
    assert world.result("m")["measurements"][0]["message"] == "refused: Bearer *****"
    assert "s3cr3t" not in str(world.run)
    await world.replica().look()
    assert "s3cr3t" not in str(world.post.sent)


async def test_a_value_that_holds_a_secret_stays_in_the_object_and_off_the_bus(world):
    secret(world, token="s3cr3t")
    world.create(metric(), args=[TOKEN])
    world.script("m", Measured(result="s3cr3t", value="s3cr3t"))
    analyzer = world.replica()
    await analyzer.until_verdict()
    assert [message.value for message in world.post.of(AnalysisMeasured)] == ["*****"]


async def test_a_missing_secret_is_an_error_of_the_run(world):
    world.create(metric(), args=[TOKEN])
    await world.replica().look()
    assert world.status["phase"] == "Error"
    assert world.status["message"] == 'Unable to resolve metric arguments: secrets "api" not found'


async def test_a_missing_key_of_a_secret_is_an_error_of_the_run(world):
    secret(world, other="x")
    world.create(metric(), args=[TOKEN])
    await world.replica().look()
    assert world.status["message"] == "Unable to resolve metric arguments: key 'token' does not exist in secret 'api'"


async def test_an_argument_nobody_gave_is_an_error_of_the_run(world):
    world.create(metric(script="{{args.who}}"))
    await world.replica().look()
    assert world.status["message"] == "Unable to resolve metric arguments: failed to resolve {{args.who}}"


# -- what cannot run, and what is over


async def test_an_invalid_spec_is_an_error_that_says_what_and_keeps_the_evidence(world):
    world.create(metric(count=2), ttlStrategy={"secondsAfterCompletion": 0})
    analyzer = world.replica()
    assert await analyzer.look() is None
    assert world.status["phase"] == "Error"
    assert world.status["message"] == "Analysis spec invalid: metrics[0]: interval must be specified when count > 1"
    world.now += timedelta(days=1)
    await analyzer.look()
    assert world.run


async def test_a_run_that_is_being_deleted_is_measured_no_more(world):
    finalizers = ["foregroundDeletion"]
    world.kube.put(
        ANALYSIS_RUN,
        {"metadata": {"namespace": KEY[0], "name": KEY[1], "finalizers": finalizers}, "spec": {"metrics": [metric()]}},
    )
    world.script("m", asyncio.Event())
    analyzer = world.replica()
    await analyzer.look()
    await world.kube.delete(ANALYSIS_RUN, *KEY)
    assert await analyzer.look() is None
    assert len(world.memory.asked) == 1
    assert world.status["phase"] == "Running"


async def test_a_finished_run_is_deleted_when_its_time_is_over(world):
    world.create(metric(), ttlStrategy={"secondsAfterSuccess": 60})
    world.script("m", 1)
    analyzer = world.replica()
    await analyzer.look()
    assert await analyzer.look() == START + timedelta(seconds=60)
    world.now += timedelta(seconds=60)
    await analyzer.look()
    assert world.kube.snapshot(ANALYSIS_RUN) == []
    assert await analyzer.look() is None


async def test_a_value_too_large_for_the_object_is_cut(world):
    world.create(metric())
    world.script("m", Measured(result=1, value="x" * 100_000))
    await world.replica().look()
    assert world.result("m")["measurements"][0]["value"].endswith("... (100000 characters)")
    assert len(world.result("m")["measurements"][0]["value"]) < 20_000


# -- what is told


async def test_each_measurement_each_metric_and_the_verdict_are_told_in_order(world):
    world.create(metric(interval="1s", count=2))
    world.script("m", 1)
    await world.replica().until_verdict()
    kinds = [type(message) for message in world.post.sent.values()]
    assert kinds == [AnalysisMeasured, AnalysisMeasured, EventsRecorded, EventsRecorded, AnalysisConcluded]
    records = [record for message in world.post.of(EventsRecorded) for record in message.records]
    assert [(record.type, record.reason, record.message) for record in records] == [
        ("Normal", "MetricSuccessful", "Metric 'm' Completed. Result: Successful"),
        ("Normal", "AnalysisRunSuccessful", "Analysis Completed. Result: Successful"),
    ]
    assert world.post.of(AnalysisConcluded)[0].phase == "Successful"


async def test_a_failure_is_told_as_a_warning(world):
    world.create(metric(failureCondition="result == 1"))
    world.script("m", 1)
    await world.replica().until_verdict()
    records = [record for message in world.post.of(EventsRecorded) for record in message.records]
    assert [(record.type, record.reason) for record in records] == [("Warning", "MetricFailed"), ("Warning", "AnalysisRunFailed")]


async def test_a_verdict_written_by_a_process_that_died_is_told_by_the_next_under_the_same_ids(world):
    world.create(metric())
    world.script("m", 1)
    await world.replica().until_verdict()
    told = dict(world.post.sent)
    world.post.sent.clear()
    world.now += timedelta(seconds=30)
    await world.replica().look()
    assert world.post.sent == told


async def test_an_old_verdict_is_not_told_again(world):
    world.create(metric())
    world.script("m", 1)
    await world.replica().until_verdict()
    world.post.sent.clear()
    world.now += timedelta(hours=2)
    await world.replica().look()
    assert world.post.sent == {}
