"""The planner's decision: everything seen in, one plan out. No clock, no I/O, no logging.

`decide` may be called any number of times, on views of any age, by several planners at once: each plan is conditional on what
it was made from, so the worst that a stale one can do is to be refused; and one that can be seen to be stale asks for a newer view.
"""

from dataclasses import replace

from tidegate.durations import rfc3339
from tidegate.messages import TrafficRequested
from tidegate.rollout import BlueGreen, Canary, Spec
from tidegate_planner import (
    analysis,
    children,
    delays,
    experiment_step,
    failfast,
    handover,
    injections,
    restarts,
    routing,
    service_pods,
    step_plugins,
)
from tidegate_planner.analysis import owner_reference
from tidegate_planner.plan import (
    Action,
    AdoptReplicaSet,
    AskStepPlugin,
    Plan,
    ReadRollout,
    ReleaseReplicaSet,
    SetDefaultReplicas,
    ShiftTraffic,
)
from tidegate_planner.progress import Progress, aborted, obeyed, progress_of, restarted
from tidegate_planner.seen import Seen
from tidegate_planner.situation import Situation, new_replica_set, number_of_steps, roles_of
from tidegate_planner.status import invalid_status, new_status, progress_deadline
from tidegate_planner.strategies import strategy_of


def decide(seen: Seen, now: float) -> Plan:
    """The whole new status, what to do in this pass, and when to look again though nothing changed."""
    if seen.problem is not None or seen.spec is None:
        problem = seen.problem or "the spec could not be read"
        return Plan(status=invalid_status(seen.status, problem=problem, generation=seen.generation, now=rfc3339(now)))
    if f"{seen.name}-{seen.template_hash}" in seen.taken_names:
        collided = {**seen.status, "collisionCount": int(seen.status.get("collisionCount") or 0) + 1}
        return Plan(status=collided)
    if seen.is_behind:
        return Plan(status=seen.status, actions=(ReadRollout(views=seen.newer_views),))
    if seen.orphans or seen.strangers:
        return Plan(status=seen.status, actions=_claims(seen))  # what the rollout consists of comes first
    return _decided(_situation(seen, seen.spec, now))


def _claims(seen: Seen) -> tuple[Action, ...]:
    """Adopt and release by the rules of every Kubernetes controller (`argo-behaviour.md` 2.3)."""
    owner = owner_reference(seen)
    adopted = (AdoptReplicaSet(name=each.name, uid=each.uid, owner=owner) for each in seen.orphans)
    released = (ReleaseReplicaSet(name=each.name, uid=each.uid, owner_uid=seen.uid) for each in seen.strangers)
    return (*adopted, *released)


def _situation(seen: Seen, spec: Spec, now: float) -> Situation:
    new = new_replica_set(seen)
    progress = _noticed(progress_of(seen.status), new.hash if new else seen.template_hash, spec.strategy)
    progress = obeyed(progress, now=rfc3339(now), steps=number_of_steps(spec.strategy))
    roles = roles_of(seen, new, progress.stable_hash)
    return Situation(seen=seen, spec=spec, roles=roles, progress=progress, now=now)


def _noticed(before: Progress, current_hash: str, strategy: Canary | BlueGreen) -> Progress:
    """A changed template or plan starts over; a plan changed after it was carried out has nothing left to do (2.2)."""
    steps, steps_hash = number_of_steps(strategy), strategy.steps_hash if isinstance(strategy, Canary) else ""
    if before.current_hash != current_hash:
        return restarted(before, current_hash=current_hash, steps_hash=steps_hash, steps=steps)
    if before.steps_hash == steps_hash:
        return before
    if before.fully_promoted:
        return replace(before, steps_hash=steps_hash, step_index=steps)
    return restarted(before, current_hash=current_hash, steps_hash=steps_hash, steps=steps)


def _decided(at: Situation) -> Plan:
    at = replace(at, entered=at.progress, progress=_unless_hopeless(at, strategy_of(at).advanced(at)))
    at = replace(at, roles=roles_of(at.seen, at.roles.new, at.progress.stable_hash))
    verdict = new_status(at)
    if verdict.deadline_abort:
        progress = aborted(at.progress, reason=verdict.deadline_abort, now=rfc3339(at.now), steps=at.steps)
        at = replace(at, progress=progress)
        verdict = new_status(at)
    actions = tuple(_actions(at))
    actions = (*actions, *handover.workload_actions(at, verdict.status, actions))
    actions = (*actions, *restarts.evictions(at, actions), *injections.pod_changes(at))
    return Plan(status=verdict.status, actions=actions, wake_at=_wake_at(at, verdict.status))


def _unless_hopeless(at: Situation, progress: Progress) -> Progress:
    """As far as it got, or aborted for what its pods wait for (N3)."""
    reason = failfast.reason(replace(at, progress=progress))
    return aborted(progress, reason=reason, now=rfc3339(at.now), steps=at.steps) if reason else progress


def _actions(at: Situation) -> list[Action]:
    actions: list[Action] = []
    if not at.spec.replicas_given:
        actions.append(SetDefaultReplicas(replicas=at.spec.replicas))
    request = strategy_of(at).request(at)
    if request is not None and not _confirmed(at, request):
        actions.append(ShiftTraffic(request=request))
    question = step_plugins.request(at)
    if question is not None:
        actions.append(AskStepPlugin(request=question))
    actions += children.replica_set_actions(at)
    actions += analysis.idle_runs(at)
    actions += analysis.wanted_runs(at)
    actions += analysis.surplus_runs(at)
    actions += experiment_step.idle(at)
    actions += experiment_step.wanted(at)
    actions += experiment_step.surplus(at)
    look = failfast.question(at)
    return actions if look is None else [*actions, look]


def _confirmed(at: Situation, request: TrafficRequested) -> bool:
    """Asked for, answered, and not changed by another hand since."""
    in_place = all(at.seen.services[each.service].hash == each.hash for each in request.services)
    return in_place and routing.answered(at, request)


def _wake_at(at: Situation, status: dict[str, object]) -> float | None:
    """The next moment that can matter. One that is over and changed nothing waits for something else than the time."""
    looks = (restarts.next_look(at), injections.next_look(at), step_plugins.wake_at(at), service_pods.next_look(at))
    moments = (strategy_of(at).pause_ends(at), delays.next_deadline(at), progress_deadline(at, status), *looks)
    return min((moment for moment in moments if moment is not None and moment >= at.now), default=None)
