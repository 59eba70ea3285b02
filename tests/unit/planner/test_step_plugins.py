"""Steps that a plugin carries out, decision by decision (`argo-behaviour.md` 4, "Step plugins")."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.durations import rfc3339
from tidegate.messages import StepRequested
from tidegate_planner.decide import decide
from tidegate_planner.plan import AskStepPlugin, Plan
from tidegate_planner.seen import Seen
from tidegate_planner.simulation.views import NOW, a_set, a_status, a_view, hash_of
from tidegate_planner.step_calls import Answer, Call, calls_of, statuses_of

NAME, OTHER = "acme/approval", "acme/database"
APPROVAL: dict[str, Any] = {"plugin": {"name": NAME, "config": {"team": "shop"}}}
STEPS: list[Any] = [{"setWeight": 25}, APPROVAL, {"pause": {}}]


def at_step(index: int | None = 1, *calls: dict[str, Any], steps: list[Any] = STEPS, **fields: Any) -> dict[str, Any]:
    held = {"canary": {"stepPluginStatuses": list(calls)}} if calls else {}
    return a_status("v2", "v1", index, steps, **held, **fields)


TIMED_OUT = {
    "type": "Progressing",
    "status": "False",
    "reason": "ProgressDeadlineExceeded",
    "message": "timed out",
    "lastUpdateTime": rfc3339(NOW),
    "lastTransitionTime": rfc3339(NOW),
}


def view(status: Any, *answers: tuple[str, Answer], steps: list[Any] = STEPS, **fields: Any) -> Seen:
    sets = (a_set("v2", 1, revision=2), a_set("v1", 3))
    return a_view("v2", *sets, status=status, canary={"steps": steps}, step_answers=dict(answers), **fields)


def questions(plan: Plan) -> list[StepRequested]:
    return [each.request for each in plan.actions if isinstance(each, AskStepPlugin)]


def question(plan: Plan) -> StepRequested:
    (asked,) = questions(plan)
    return asked


def calls(plan: Plan) -> list[dict[str, Any]]:
    return list((plan.status.get("canary") or {}).get("stepPluginStatuses") or ())


def after(before: Plan, now: float, *, steps: list[Any] = STEPS, change: Any = None, **said: Any) -> Plan:
    """The next look: with an answer to the question of the last one, if anything was `said`."""
    answers = [(each.plugin, Answer(id=each.id, **said)) for each in questions(before)] if said else []
    return decide(view({**before.status, **(change or {})}, *answers, steps=steps), now)


ASKED = {"index": 1, "name": NAME, "operation": "Run", "phase": "Running", "startedAt": rfc3339(NOW), "updatedAt": rfc3339(NOW)}


def test_a_plugin_step_is_written_down_before_it_is_asked_for() -> None:
    plan = decide(view(at_step()), NOW)
    assert calls(plan) == [ASKED]
    asked = question(plan)
    assert (asked.plugin, asked.operation, asked.index, asked.execution) == (NAME, "Run", 1, 1)
    assert (asked.config, asked.status, asked.hash, asked.stable_hash) == ({"team": "shop"}, None, hash_of("v2"), hash_of("v1"))
    assert (asked.revision, asked.images) == (2, ("app:v2",))


def test_every_look_asks_the_same_until_there_is_an_answer() -> None:
    first = decide(view(at_step()), NOW)
    again = after(first, NOW + 7)
    assert question(again) == question(first)
    assert again.status["currentStepIndex"] == 1
    assert calls(again) == calls(first)


def test_successful_ends_the_step() -> None:
    plan = after(decide(view(at_step()), NOW), NOW + 3, phase="Successful", message="approved", status={"by": "ann"})
    end = rfc3339(NOW + 3)
    done = {"phase": "Successful", "message": "approved", "updatedAt": end, "finishedAt": end, "executions": 1}
    assert calls(plan) == [ASKED | done | {"status": {"by": "ann"}}]
    assert plan.status["currentStepIndex"] == 2
    assert questions(plan) == []


@pytest.mark.parametrize(("requeue", "backoff", "seconds"), [(0, "30s", 30), (10, "30s", 30), (11, "11s", 11), (90.0, "1m30s", 90)])
def test_running_is_asked_again_with_what_it_left(requeue: float, backoff: str, seconds: float) -> None:
    running = after(decide(view(at_step()), NOW), NOW, phase="Running", requeue_after=requeue, status={"ticket": 7})
    assert (calls(running)[0]["backoff"], questions(running)) == (backoff, [])
    assert running.wake_at == NOW + seconds
    assert questions(after(running, NOW + seconds - 1)) == []
    again = question(after(running, NOW + seconds))
    assert (again.execution, again.status) == (2, {"ticket": 7})
    assert again.id != question(decide(view(at_step()), NOW)).id


def test_failed_aborts_in_the_peers_words() -> None:
    plan = after(decide(view(at_step()), NOW), NOW, phase="Failed", message="no budget")
    assert plan.status["abort"] is True
    reason = f"Step Plugin 2 ({NAME}) failed: no budget"
    assert plan.status["message"] == f"RolloutAborted: Rollout aborted update to revision 2: {reason}"
    assert [each["operation"] for each in calls(plan)] == ["Run"], "what failed has nothing to undo"


def test_error_is_tried_again_after_30_seconds_on_the_state_that_was_good() -> None:
    running = after(decide(view(at_step()), NOW), NOW, phase="Running", status={"ticket": 7})
    error = after(after(running, NOW + 30), NOW + 31, phase="Error", message="oops", status={"half": True})
    assert {key: calls(error)[0][key] for key in ("phase", "message", "backoff", "executions", "status")} == {
        "phase": "Error", "message": "oops", "backoff": "30s", "executions": 2, "status": {"ticket": 7},
    }  # fmt: skip
    assert "abort" not in error.status
    assert question(after(error, NOW + 61)).status == {"ticket": 7}


def test_silence_counts_as_an_error_after_a_minute_and_is_asked_again() -> None:
    first = decide(view(at_step()), NOW)
    assert first.wake_at == NOW + 60
    silent = after(first, NOW + 60)
    assert (calls(silent)[0]["phase"], calls(silent)[0]["message"]) == ("Error", f"plugin {NAME} did not answer within 60 s")
    assert questions(silent) == []
    assert question(after(silent, NOW + 90)).execution == 2


def test_silence_after_the_deadline_is_not_written_down_and_an_answer_is_still_heard() -> None:
    late = after(decide(view(at_step()), NOW), NOW + 50, change={"conditions": [TIMED_OUT]})
    much_later = after(late, NOW + 900)
    assert (calls(much_later), much_later.wake_at, much_later.status["phase"]) == ([ASKED], None, "Degraded")
    assert after(much_later, NOW + 901, phase="Successful").status["currentStepIndex"] == 2


def test_an_answer_to_another_call_is_ignored() -> None:
    first = decide(view(at_step()), NOW)
    late = decide(view(first.status, (NAME, Answer(id="0" * 32, phase="Successful"))), NOW + 1)
    assert (calls(late), late.status["currentStepIndex"]) == (calls(first), 1)


def test_a_doubled_answer_counts_once() -> None:
    first = decide(view(at_step()), NOW)
    answer = (NAME, Answer(id=question(first).id, phase="Running"))
    once = decide(view(first.status, answer), NOW + 1)
    twice = decide(view(once.status, answer), NOW + 2)
    assert (calls(twice)[0]["executions"], calls(twice)) == (1, calls(once))


@pytest.mark.parametrize("held", [{"spec": {"paused": True}}, {}], ids=["by hand", "by an inconclusive run"])
def test_nothing_is_asked_while_the_rollout_is_paused(held: dict[str, Any]) -> None:
    pauses = {} if held else {"pauseConditions": [{"reason": "InconclusiveAnalysisRun", "startTime": rfc3339(NOW)}]}
    plan = decide(view(at_step(**pauses), **held), NOW)
    assert (questions(plan), calls(plan)) == ([], [])


def test_an_answer_that_comes_during_a_pause_is_not_lost() -> None:
    first = decide(view(at_step()), NOW)
    answer = (NAME, Answer(id=question(first).id, phase="Successful"))
    plan = decide(view(first.status, answer, spec={"paused": True}), NOW + 1)
    assert (calls(plan)[0]["phase"], plan.status["currentStepIndex"]) == ("Successful", 1)


def test_a_disabled_plugin_is_passed_over() -> None:
    plan = decide(view(at_step(), disabled_plugins=frozenset({NAME})), NOW)
    assert calls(plan) == [{"index": 1, "name": NAME, "operation": "Run", "disabled": True}]
    assert (plan.status["currentStepIndex"], questions(plan)) == (2, [])


def test_a_plugin_that_is_disabled_while_it_is_asked_lets_the_rollout_go_on() -> None:
    first = decide(view(at_step()), NOW)
    plan = decide(view(first.status, disabled_plugins=frozenset({NAME})), NOW + 1)
    assert calls(plan) == [{"index": 1, "name": NAME, "operation": "Run", "disabled": True}]
    assert (plan.status["currentStepIndex"], questions(plan)) == (2, [])


THREE: list[Any] = [{"plugin": {"name": NAME}}, {"plugin": {"name": OTHER}}, {"plugin": {"name": NAME}}, {"pause": {}}]


def run_of(index: int, name: str, phase: str = "Successful", **fields: Any) -> dict[str, Any]:
    over = {"finishedAt": rfc3339(NOW)} if phase == "Successful" else {"backoff": "30s"}
    return {**ASKED, "index": index, "name": name, "phase": phase, "executions": 1, **over, **fields}


RAN = (run_of(0, NAME, status="a"), run_of(1, OTHER, status="b"), run_of(2, NAME, "Running", status="c"))


def test_an_abort_undoes_one_step_after_another_the_last_one_first() -> None:
    order = []
    plan = decide(view(at_step(2, *RAN, steps=THREE, abort=True), steps=THREE), NOW)
    for _ in RAN:
        asked = question(plan)
        order.append((asked.index, asked.plugin, asked.operation, asked.status))
        plan = after(plan, NOW + 1, steps=THREE, phase="Successful", message="undone")
    assert order == [(2, NAME, "Abort", "c"), (1, OTHER, "Abort", "b"), (0, NAME, "Abort", "a")]
    assert questions(plan) == []
    aborts = [each for each in calls(plan) if each["operation"] == "Abort"]
    assert [(each["index"], each["phase"], each["message"]) for each in aborts] == [
        (index, "Successful", "undone") for index in (2, 1, 0)
    ]


def test_an_abort_that_is_not_answered_holds_up_the_others_for_a_minute() -> None:
    plan = decide(view(at_step(2, *RAN, steps=THREE, abort=True), steps=THREE), NOW)
    silent = after(plan, NOW + 60, steps=THREE)
    assert (calls(silent)[3]["operation"], calls(silent)[3]["phase"]) == ("Abort", "Error")
    assert question(silent).index == 1


def test_running_is_no_answer_to_an_abort() -> None:
    plan = decide(view(at_step(2, *RAN, steps=THREE, abort=True), steps=THREE), NOW)
    assert calls(after(plan, NOW + 1, steps=THREE, phase="Running"))[3]["phase"] == "Failed"


def test_a_full_promotion_ends_the_last_one_that_runs_and_undoes_nothing() -> None:
    plan = decide(view(at_step(2, *RAN, steps=THREE, promoteFull=True), steps=THREE), NOW)
    asked = question(plan)
    assert (asked.index, asked.operation, asked.status) == (2, "Terminate", "c")
    ended = after(plan, NOW + 1, steps=THREE, phase="Successful")
    assert [(each["index"], each["operation"]) for each in calls(ended)] == [(0, "Run"), (1, "Run"), (2, "Run"), (2, "Terminate")]
    assert questions(ended) == []


def test_a_retry_forgets_what_was_and_runs_from_the_first_step() -> None:
    aborted = decide(view(at_step(2, *RAN, steps=THREE, abort=True), steps=THREE), NOW)
    retried = after(aborted, NOW + 5, steps=THREE, change={"abort": False})
    assert calls(retried) == [{**ASKED, "index": 0, "startedAt": rfc3339(NOW + 5), "updatedAt": rfc3339(NOW + 5)}]


def test_a_new_version_begins_without_the_calls_of_the_old_one() -> None:
    seen = a_view("v3", a_set("v2", 1, revision=2), a_set("v1", 3), status=at_step(2, *RAN, steps=THREE), canary={"steps": THREE})
    assert calls(decide(seen, NOW)) == [{**ASKED, "index": 0}]


def test_the_progress_deadline_counts_while_a_plugin_works_and_the_plugin_is_asked_all_the_same() -> None:
    running = after(decide(view(at_step()), NOW), NOW, phase="Running", requeue_after=3600)
    late = after(running, NOW + 601)
    assert late.status["phase"] == "Degraded"
    assert "timed out progressing" in late.status["message"]
    assert questions(after(late, NOW + 3601)) != []


def test_a_step_that_was_skipped_by_hand_does_not_keep_the_next_plugin_waiting() -> None:
    first = decide(view(at_step(0, steps=THREE), steps=THREE), NOW)
    skipped = after(first, NOW + 1, steps=THREE, change={"currentStepIndex": 1})
    assert (question(skipped).plugin, question(skipped).index) == (OTHER, 1)


def test_what_the_peer_left_in_a_status_is_read_and_written_alike() -> None:
    held = [*RAN, {**run_of(2, NAME), "operation": "Abort", "phase": "Error", "message": "m"}]
    assert statuses_of(calls_of({"canary": {"stepPluginStatuses": held}})) == held


def test_a_call_has_one_name_for_everybody_and_each_attempt_another() -> None:
    call = Call(index=0, name=NAME, started_at=rfc3339(NOW))
    later = Call(index=0, name=NAME, started_at=rfc3339(NOW + 1))
    assert call.id_for("u", "h") == Call(index=0, name=NAME, started_at=rfc3339(NOW), message="m").id_for("u", "h")
    assert len({call.id_for("u", "h"), later.id_for("u", "h"), call.id_for("u", "i"), call.id_for("v", "h")}) == 4


said = st.sampled_from(["Running", "Successful", "Failed", "Error", ""])


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(said, st.floats(0.1, 45), st.booleans()), max_size=25))
def test_whatever_a_plugin_says_and_whenever_the_status_tells_what_was_done(story: list[tuple[str, float, bool]]) -> None:
    """A step passes only with a Successful in the status; an abort only with a Failed; executions count answers and silences."""
    plan, now, steps = decide(view(at_step()), NOW), NOW, STEPS
    for phase, pause, doubled in story:
        now += pause
        held, asked = plan, questions(plan)
        answers = [(each.plugin, Answer(id=each.id, phase=phase, requeue_after=12)) for each in asked] if phase else []
        for _ in range(1 + doubled):
            plan = decide(view(plan.status, *answers, steps=steps), now)
        before, run = calls(held)[0], calls(plan)[0]
        assert run.get("executions", 0) - before.get("executions", 0) in (0, 1)
        assert (plan.status["currentStepIndex"] == 2) == (run["phase"] == "Successful")
        assert plan.status.get("abort", False) == (run["phase"] == "Failed")
        if run["phase"] in {"Successful", "Failed"}:
            break
