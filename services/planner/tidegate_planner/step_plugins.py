"""Steps that a plugin carries out: what is asked when, and what the answers mean (`argo-behaviour.md` 4, "Step plugins").

Rule of this file: pure. `heard` takes in what came, `begun` writes down what is to be asked next, `request` is that question; who
sends it sends it again until it is answered. So an answer may be lost, doubled or late: only the one to the call that stands in
the status counts, and it is in the status before anything is done because of it.

Once the progress deadline has fired the rollout has its verdict: a silent plugin is still asked, so that it may go on when it comes
back, but its silence is not written down any more.
"""

from collections.abc import Iterable
from dataclasses import replace

from tidegate.messages import StepRequested
from tidegate.rollout import BlueGreen, Plugin
from tidegate_planner import step_calls
from tidegate_planner.progress import Progress
from tidegate_planner.situation import Situation
from tidegate_planner.step_calls import ABORT, FAILED, RUN, RUNNING, SUCCESSFUL, TERMINATE, Call
from tidegate_planner.targets import current_step


def heard(at: Situation) -> Progress:
    """With the answers that came, and with silence where it lasted too long. A retry forgets what was before the abort."""
    if at.was_retried:
        return replace(at.progress, step_calls=())
    asked = _asked(at)
    return replace(at.progress, step_calls=tuple(_after(at, each, asked=each is asked) for each in at.progress.step_calls))


def _after(at: Situation, call: Call, *, asked: bool) -> Call:
    if not call.is_asked:
        return call
    answer = at.seen.step_answers.get(call.name)
    if answer is not None and answer.id == _id(at, call):
        return step_calls.answered(call, answer, at.now)
    return step_calls.unanswered(call, at.now) if asked and at.now >= call.due and not at.timed_out else call


def begun(at: Situation) -> Progress:
    """With the call that is to be made now: aborts one after another, the last step first; of what still runs the last is ended."""
    operation = _operation(at)
    made = _of_operation(at, operation)
    if operation == RUN:
        return _run(at)
    if operation == ABORT and not any(each.is_asked for each in made):
        undone = {each.index for each in made}
        return _ended(at, ABORT, (each for each in _callable_runs(at) if each.index not in undone))
    if operation == TERMINATE and not made:
        undone = {each.index for each in _of_operation(at, ABORT)}
        return _ended(at, TERMINATE, (each for each in _callable_runs(at) if each.phase == RUNNING and each.index not in undone))
    return at.progress


def _operation(at: Situation) -> str:
    """What plugins may be asked for as things stand. A pause holds up the next Run, an abort or a full promotion waits for none."""
    progress = at.progress
    if progress.abort:
        return ABORT
    if progress.promote_full or progress.fully_promoted:
        return TERMINATE
    return "" if at.spec.paused or progress.pauses else RUN


def _run(at: Situation) -> Progress:
    step, index = current_step(at.progress, at.canary), at.progress.step_index
    if not isinstance(step, Plugin) or index is None:
        return at.progress
    held, disabled = _current_run(at), step.name in at.seen.disabled_plugins
    if held is not None and (held.is_over or not (disabled or (held.backoff and at.now >= held.due))):
        return at.progress
    if disabled:  # also one that was asked before: what is broken for all must let all of them go
        made = step_calls.passed_over(index, step.name)
    else:
        made = step_calls.begun(index, step.name, RUN, at.now) if held is None else step_calls.asked_again(held, at.now)
    others = tuple(made if each is held else each for each in at.progress.step_calls)
    return replace(at.progress, step_calls=others if held else (*others, made))


def _callable_runs(at: Situation) -> list[Call]:
    """Runs that have something to undo or to stop, the last one first."""
    runs = [each for each in _of_operation(at, RUN) if each.phase in {RUNNING, SUCCESSFUL}]
    return [each for each in reversed(runs) if each.name not in at.seen.disabled_plugins]


def _ended(at: Situation, operation: str, runs: Iterable[Call]) -> Progress:
    first = next(iter(runs), None)
    if first is None:
        return at.progress
    made = step_calls.begun(first.index, first.name, operation, at.now)
    return replace(at.progress, step_calls=(*at.progress.step_calls, made))


def _of_operation(at: Situation, operation: str) -> list[Call]:
    return [each for each in at.progress.step_calls if each.operation == operation]


def _current_run(at: Situation) -> Call | None:
    if isinstance(at.strategy, BlueGreen):
        return None
    step, index = current_step(at.progress, at.canary), at.progress.step_index
    if not isinstance(step, Plugin):
        return None
    return next((each for each in _of_operation(at, RUN) if (each.index, each.name) == (index, step.name)), None)


# --- what it means for the step ----------------------------------------------------------------------------------------


def done(at: Situation) -> bool:
    run = _current_run(at)
    return run is not None and (run.disabled or run.phase == SUCCESSFUL)


def failure(at: Situation) -> str:
    """Why the rollout is to be aborted, "" if it is not."""
    run = _current_run(at)
    if run is None or run.phase != FAILED:
        return ""
    text = f"Step Plugin {run.index + 1} ({run.name}) failed"
    return f"{text}: {run.message}" if run.message else text


# --- what is asked -----------------------------------------------------------------------------------------------------


def request(at: Situation) -> StepRequested | None:
    """The question that waits for its answer."""
    call = _asked(at)
    step = None if call is None or isinstance(at.strategy, BlueGreen) else at.canary.steps[call.index : call.index + 1]
    if call is None or not step or not isinstance(step[0], Plugin):
        return None
    run = next((each for each in _of_operation(at, RUN) if each.index == call.index), call)
    containers = (at.spec.template.get("spec") or {}).get("containers") or ()
    return StepRequested(
        namespace=at.seen.namespace,
        name=at.seen.name,
        plugin=call.name,
        id=_id(at, call),
        operation=call.operation,  # type: ignore[arg-type]  # one of three by construction, checked by the message
        uid=at.seen.uid,
        index=call.index,
        execution=max(1, run.executions + (call.operation == RUN)),
        revision=at.revision,
        hash=at.progress.current_hash,
        stable_hash=at.progress.stable_hash,
        images=tuple(each.get("image", "") for each in containers),
        config=step[0].config,
        status=run.status,
    )


def wake_at(at: Situation) -> float | None:
    """When a call is to be made again, or counts as unanswered."""
    call = _asked(at) or (_current_run(at) if _operation(at) == RUN else None)
    return None if call is None or call.is_over or (call.is_asked and at.timed_out) else call.due


def _asked(at: Situation) -> Call | None:
    if isinstance(at.strategy, BlueGreen):
        return None
    operation = _operation(at)
    if operation == RUN:
        run = _current_run(at)
        return run if run is not None and run.is_asked else None
    return next((each for each in _of_operation(at, operation) if each.is_asked), None)


def _id(at: Situation, call: Call) -> str:
    return call.id_for(at.seen.uid, at.progress.current_hash)
