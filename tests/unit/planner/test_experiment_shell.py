"""From the caches to a decision about an experiment, and from its plan to writes, on an API server in memory."""

import contextlib
from typing import Any

import pytest

from tidegate import keys
from tidegate.keys import API_VERSION
from tidegate.kube.errors import Forbidden, ServerUnavailable
from tidegate.kube.kinds import ANALYSIS_RUN, ANALYSIS_TEMPLATE, EXPERIMENT, REPLICA_SET, ROLLOUT, SERVICE
from tidegate.kube.memory import Call
from tidegate.messages import AnalysisRequested
from tidegate.testing import a_rollout, an_analysis_template
from tidegate_planner.decide import decide as decide_rollout
from tidegate_planner.experiments.apply import Applier
from tidegate_planner.experiments.decide import decide
from tidegate_planner.experiments.observe import Observer
from tidegate_planner.experiments.seen import Seen
from tidegate_planner.memory import Memory
from tidegate_planner.plan import CreateExperiment, DeleteExperiment, TerminateExperiment
from tidegate_planner.simulation.shell import NAMESPACE, Shell
from tidegate_planner.writing import Refused

LABELS = {"app": "trial"}
CONTAINER = {"name": "app", "image": "demo:blue", "ports": [{"containerPort": 8080}]}
TEMPLATE = {
    "name": "one",
    "selector": {"matchLabels": LABELS},
    "template": {"metadata": {"labels": LABELS}, "spec": {"containers": [CONTAINER]}},
    "service": {},
}


class Trial:
    """One Experiment `exp` and the shell around it."""

    def __init__(self, **spec: Any) -> None:
        self.shell = Shell()
        self.observer = Observer(self.shell.world)
        self.applier = Applier(shared=self.shell.applier, services=self.shell.caches[SERVICE])
        self.memory = Memory()
        manifest = {"apiVersion": API_VERSION, "kind": "Experiment", "metadata": {"name": "exp"}}
        self.shell.put(EXPERIMENT, {**manifest, "spec": {"templates": [TEMPLATE], **spec}})

    def see(self) -> Seen:
        seen = self.observer.see((NAMESPACE, "exp"))
        assert seen is not None
        return seen

    async def look(self, seen: Seen | None = None) -> None:
        seen = seen or self.see()
        await self.applier.apply(seen, decide(seen, self.shell.now), self.memory, lazy_for=0)

    def serve(self) -> None:
        """The ReplicaSet's pods become available."""
        held = self.shell.stored(REPLICA_SET, "exp-one")
        self.shell.put(REPLICA_SET, {**held, "status": {"replicas": 1, "readyReplicas": 1, "availableReplicas": 1}})

    @property
    def status(self) -> dict[str, Any]:
        status: dict[str, Any] = self.shell.stored(EXPERIMENT, "exp")["status"]
        return status


@pytest.fixture
def trial() -> Trial:
    return Trial()


async def test_the_status_is_written_into_the_object_before_anything_is_made(trial: Trial) -> None:
    await trial.look()
    assert trial.shell.writes == [("merge_patch", "Experiment", None), ("create", "ReplicaSet", None)]
    assert trial.status["phase"] == "Pending"


async def test_it_comes_from_nothing_to_running_with_its_service(trial: Trial) -> None:
    await trial.look()
    await trial.look()
    trial.serve()
    await trial.look()
    await trial.look()
    assert trial.status["phase"] == "Running"
    service, held = trial.shell.stored(SERVICE, "exp-one"), trial.shell.stored(REPLICA_SET, "exp-one")
    chosen = held["metadata"]["labels"][keys.POD_TEMPLATE_HASH]
    assert service["spec"]["selector"] == {**LABELS, keys.POD_TEMPLATE_HASH: chosen}
    assert [each["name"] for each in service["metadata"]["ownerReferences"]] == ["exp"]
    assert trial.status["templateStatuses"][0]["serviceName"] == "exp-one"


async def test_a_decision_on_an_old_view_is_refused_and_makes_nothing(trial: Trial) -> None:
    old = trial.see()
    trial.shell.put(EXPERIMENT, {**trial.shell.stored(EXPERIMENT, "exp"), "spec": {"templates": [], "terminate": True}})
    with pytest.raises(Refused):
        await trial.look(old)
    assert trial.shell.kube.snapshot(REPLICA_SET) == []


async def test_a_child_that_is_there_already_is_not_made_again(trial: Trial) -> None:
    """The answer to the creation was lost, and the watch lags."""
    trial.shell.feeds[REPLICA_SET].pause()
    trial.shell.kube.after = lambda call: lost(call, "create", "ReplicaSet")
    with pytest.raises(ServerUnavailable):
        await trial.look()
    trial.shell.kube.after = lambda _call: None
    with pytest.raises(Refused, match="ReplicaSet exp-one exists"):
        await trial.look()
    await trial.look()
    assert [verb for verb, kind, _ in trial.shell.writes if kind == "ReplicaSet"] == ["create", "create"]
    assert list(trial.see().replica_sets) == ["one"]


async def test_somebody_elses_replica_set_of_that_name_fails_it(trial: Trial) -> None:
    labels = {**LABELS, keys.POD_TEMPLATE_HASH: "theirs"}
    theirs = {"replicas": 1, "selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}}}
    trial.shell.put(REPLICA_SET, {"metadata": {"name": "exp-one", "labels": labels}, "spec": theirs})
    with pytest.raises(Refused):
        await trial.look()
    await trial.look()
    text = "Failed to create ReplicaSet for template 'one': ReplicaSet exp-one exists and does not belong to this experiment"
    assert (trial.status["phase"], trial.status["message"]) == ("Error", text)


async def test_what_was_refused_is_tried_again_when_the_experiment_is_retried(trial: Trial) -> None:
    trial.shell.kube.before = lambda call: refuse(call, "create", "ReplicaSet")
    with pytest.raises(Refused):
        await trial.look()
    await trial.look()
    text = "Failed to create ReplicaSet for template 'one': exceeded quota"
    assert (trial.status["phase"], trial.status["message"]) == ("Error", text)
    trial.shell.kube.before = lambda _call: None
    await trial.shell.kube.merge_patch(EXPERIMENT, NAMESPACE, "exp", {"status": None})
    await trial.look()
    assert (trial.status["phase"], list(trial.see().replica_sets)) == ("Pending", ["one"])


async def test_a_run_is_asked_for_in_the_experiments_name_and_ended_so() -> None:
    trial = Trial(duration="10s", analyses=[{"name": "a", "templateName": "check"}])
    trial.shell.put(ANALYSIS_TEMPLATE, an_analysis_template("check", {"name": "m"}))
    await trial.look()
    trial.serve()
    await trial.look()
    (started,) = [each for each in trial.shell.sent.messages if isinstance(each, AnalysisRequested)]
    assert (started.name, started.experiment, started.rollout, started.terminate) == ("exp-a", "exp", None, False)
    assert started.manifest is not None
    trial.shell.put(ANALYSIS_RUN, {**started.manifest, "status": {"phase": "Running"}})
    trial.shell.now += 20
    await trial.look()
    assert trial.status["phase"] == "Successful"
    ended = trial.shell.sent.messages[-1]
    assert isinstance(ended, AnalysisRequested)
    assert (ended.name, ended.experiment, ended.terminate) == ("exp-a", "exp", True)


async def test_pods_are_held_while_the_rollout_may_be_sending_them_requests() -> None:
    trial = Trial(duration="10s", scaleDownDelaySeconds=0)
    rollout = trial.shell.put(ROLLOUT, a_rollout())
    owner = {"kind": "Rollout", "name": "web", "uid": rollout["metadata"]["uid"], "controller": True}
    held = trial.shell.stored(EXPERIMENT, "exp")
    trial.shell.put(EXPERIMENT, {**held, "metadata": {**held["metadata"], "ownerReferences": [owner]}})
    await trial.look()
    trial.serve()
    await trial.look()
    (chosen,) = [each.hash for each in trial.see().replica_sets.values()]
    weights = {"additional": [{"weight": 0, "podTemplateHash": chosen}]}  # asked for, not seen yet
    patch = {"status": {"canary": {"weights": weights}}}
    await trial.shell.kube.merge_patch(ROLLOUT, NAMESPACE, "web", patch, subresource="status")
    assert trial.see().in_traffic == {chosen}
    trial.shell.now += 20
    await trial.look()
    assert (trial.status["phase"], trial.shell.stored(REPLICA_SET, "exp-one")["spec"]["replicas"]) == ("Successful", 1)
    await trial.shell.kube.merge_patch(ROLLOUT, NAMESPACE, "web", {"status": {"canary": None}}, subresource="status")
    await trial.look()
    assert trial.shell.stored(REPLICA_SET, "exp-one")["spec"]["replicas"] == 0


class Faults:
    """Lets request number `fails` fail, before it was carried out or after, and counts."""

    def __init__(self, trial: Trial, fails: int, *, after: bool) -> None:
        self._fails, self.calls, kube = fails, 0, trial.shell.kube
        setattr(kube, "after" if after else "before", self._count)

    def _count(self, call: Call) -> None:
        self.calls += 1
        if self.calls == self._fails:
            raise ServerUnavailable(f"{call.verb} {call.kind.kind}: the connection broke", status=0)


async def a_life(fails: int, *, after: bool) -> tuple[Trial, int]:
    """From its creation to its last pod, with one request that fails; the watch lags whenever it can."""
    trial = Trial(duration="10s", scaleDownDelaySeconds=0)
    faults = Faults(trial, fails, after=after)
    for act in ("", "serve", "wait", ""):
        if act == "serve":
            trial.serve()
        trial.shell.now += 20 if act == "wait" else 0
        for _ in range(5):
            with contextlib.suppress(ServerUnavailable, Refused):
                await trial.look()
            if act in {"wait", ""} and trial.shell.kube.snapshot(REPLICA_SET):
                held = trial.shell.stored(REPLICA_SET, "exp-one")
                if held["spec"]["replicas"] == 0:
                    trial.shell.put(REPLICA_SET, {**held, "status": {"replicas": 0}})
    return trial, faults.calls


@pytest.mark.parametrize("after", [False, True], ids=["before it is carried out", "after"])
async def test_whichever_request_fails_it_comes_to_the_same_end(after: bool) -> None:
    _, requests = await a_life(0, after=after)
    assert requests >= 7
    for number in range(1, requests + 1):
        trial, _ = await a_life(number, after=after)
        assert (trial.status["phase"], trial.status["templateStatuses"][0]["status"]) == ("Successful", "Successful"), number
        assert trial.shell.stored(REPLICA_SET, "exp-one")["spec"]["replicas"] == 0
        assert trial.shell.kube.snapshot(SERVICE) == []


# --- the Rollout's side -------------------------------------------------------------------------------------------------


@pytest.fixture
def shell() -> Shell:
    """A Rollout at an experiment step."""
    shell = Shell()
    shell.put(ROLLOUT, a_rollout())
    return shell


def an_experiment(shell: Shell, **owner: Any) -> dict[str, Any]:
    reference = {"apiVersion": API_VERSION, "kind": "Rollout", "name": "web", "controller": True, **owner}
    metadata = {"name": "web-x-2-0", "namespace": NAMESPACE, "ownerReferences": [reference] if owner else []}
    return {"apiVersion": API_VERSION, "kind": "Experiment", "metadata": metadata, "spec": {"templates": []}}


async def test_an_experiment_is_created_once_and_seen_at_once(shell: Shell) -> None:
    shell.feeds[EXPERIMENT].pause()
    await shell.apply(CreateExperiment(manifest=an_experiment(shell, uid=shell.see().uid)))
    assert [each.name for each in shell.see().experiments] == ["web-x-2-0"]
    with pytest.raises(Refused, match="Experiment web-x-2-0 exists"):
        await shell.apply(CreateExperiment(manifest=an_experiment(shell, uid=shell.see().uid)))
    assert shell.see().taken_names == frozenset()


async def test_somebody_elses_experiment_takes_the_name(shell: Shell) -> None:
    shell.put(EXPERIMENT, an_experiment(shell))
    with pytest.raises(Refused):
        await shell.apply(CreateExperiment(manifest=an_experiment(shell, uid=shell.see().uid)))
    assert shell.see().taken_names == {"web-x-2-0"}
    assert shell.see().experiments == ()


async def test_only_the_very_experiment_is_ended(shell: Shell) -> None:
    made = shell.put(EXPERIMENT, an_experiment(shell, uid=shell.see().uid))
    with pytest.raises(Refused):
        await shell.apply(TerminateExperiment(name="web-x-2-0", uid="another"))
    assert not shell.see().experiments[0].terminate
    await shell.apply(TerminateExperiment(name="web-x-2-0", uid=made["metadata"]["uid"]))
    assert shell.see().experiments[0].terminate


async def test_only_the_very_experiment_is_deleted(shell: Shell) -> None:
    made = shell.put(EXPERIMENT, an_experiment(shell, uid=shell.see().uid))
    with pytest.raises(Refused):
        await shell.apply(DeleteExperiment(name="web-x-2-0", uid="another"))
    assert len(shell.see().experiments) == 1
    await shell.apply(DeleteExperiment(name="web-x-2-0", uid=made["metadata"]["uid"]))
    assert shell.see().experiments == ()


async def test_the_templates_to_copy_are_seen_while_an_update_has_an_experiment_before_it() -> None:
    shell = Shell()
    step = {"experiment": {"templates": [{"name": "base", "specRef": "stable"}]}}
    shell.put(ROLLOUT, a_rollout(steps=[{"setWeight": 20}, step]))
    for _ in range(2):
        seen = shell.see()
        await shell.applier.apply(seen, decide_rollout(seen, shell.now), Memory(), lazy_for=0)
    assert [bool(each.template) for each in shell.see().replica_sets] == [False]
    shell.put(ROLLOUT, {**shell.stored(ROLLOUT), "spec": a_rollout(steps=[{"setWeight": 20}, step], image="demo:yellow")["spec"]})
    for _ in range(2):
        seen = shell.see()
        await shell.applier.apply(seen, decide_rollout(seen, shell.now), Memory(), lazy_for=0)
    assert [bool(each.template) for each in shell.see().replica_sets] == [True, True]


def lost(call: Call, verb: str, kind: str) -> None:
    if (call.verb, call.kind.kind) == (verb, kind):
        raise ServerUnavailable("the connection broke", status=0)


def refuse(call: Call, verb: str, kind: str) -> None:
    if (call.verb, call.kind.kind) == (verb, kind):
        raise Forbidden("exceeded quota", status=403)
