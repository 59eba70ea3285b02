"""What an experiment comes to: its pods, its analyses, its end (`argo-behaviour.md` 10)."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate import keys
from tidegate.durations import epoch, rfc3339
from tidegate_planner.experiments.decide import decide
from tidegate_planner.experiments.plan import CreateReplicaSet, CreateService, DeleteService, Plan
from tidegate_planner.experiments.seen import Seen, Service
from tidegate_planner.experiments.spec import problem_in, spec_of
from tidegate_planner.plan import ScaleReplicaSet, StartAnalysis, TerminateAnalysis
from tidegate_planner.seen import AnalysisRun, ReplicaSet

START = 1_800_000_000.0
CHECK = {("AnalysisTemplate", "check"): {"spec": {"args": [{"name": "to", "value": "x"}], "metrics": [{"name": "m"}]}}}
MEASURED = {"analyses": [{"name": "a", "templateName": "check"}]}
REQUIRED = {"analyses": [{"name": "a", "templateName": "check", "requiredForCompletion": True}]}
ENDS = ("Successful", "Failed", "Error", "Inconclusive")


def a_template(name: str = "one", **fields: Any) -> dict[str, Any]:
    labels = {"app": "trial"}
    container = {"name": "app", "image": "demo:blue", "ports": [{"containerPort": 8080}]}
    pod = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    return {"name": name, "selector": {"matchLabels": labels}, "template": pod, **fields}


@dataclass
class Bench:
    """An experiment whose pods and runs do what a test says; every plan is carried out."""

    spec: Mapping[str, Any]
    status: Mapping[str, Any] = field(default_factory=dict)
    now: float = START
    sets: dict[str, ReplicaSet] = field(default_factory=dict)
    services: dict[str, Service] = field(default_factory=dict)
    runs: dict[str, AnalysisRun] = field(default_factory=dict)
    refusals: dict[str, str] = field(default_factory=dict)
    in_traffic: frozenset[str] = frozenset()
    analysis_templates: Mapping[tuple[str, str], Any] = field(default_factory=lambda: CHECK)
    asked: list[Any] = field(default_factory=list)

    def see(self) -> Seen:
        manifest = {"metadata": {"name": "exp"}, "spec": self.spec}
        problem = problem_in(manifest)
        return Seen(
            namespace="default", name="exp", uid="uid-exp", resource_version=7, annotations={}, labels={},
            status=self.status, manifest=manifest, spec=None if problem else spec_of(manifest), problem=problem,
            replica_sets=self.sets, services=self.services, runs=tuple(self.runs.values()),
            templates=self.analysis_templates, refusals=self.refusals, in_traffic=self.in_traffic,
        )  # fmt: skip

    def look(self) -> Plan:
        """One decision, carried out."""
        plan = decide(self.see(), self.now)
        self.status = plan.status
        for action in plan.actions:
            self.asked.append(action)
            self._carry_out(action)
        return plan

    def settle(self) -> str:
        """Until nothing more is asked for; the phase."""
        for _ in range(10):
            before = self.status
            plan = self.look()
            if plan.status == before and not plan.actions:
                return str(plan.status["phase"])
        raise AssertionError(f"it does not come to rest: {self.status}")

    def serve(self, count: int | None = None) -> None:
        """All pods, or so many of each, are available."""
        for name, each in self.sets.items():
            there = each.replicas if count is None else min(count, each.replicas)
            self.sets[name] = replace(each, current=each.replicas, ready=there, available=there)

    def running(self) -> "Bench":
        self.settle()
        self.serve()
        self.settle()
        return self

    def conclude(self, phase: str, message: str = "", name: str = "exp-a") -> None:
        self.runs[name] = replace(self.runs[name], phase=phase, message=message)

    def wait(self, seconds: float) -> None:
        self.now += seconds

    @property
    def sizes(self) -> dict[str, int]:
        return {name: each.replicas for name, each in self.sets.items()}

    def told(self, name: str = "one") -> tuple[str, str]:
        status = next(each for each in self.status["templateStatuses"] if each["name"] == name)
        return status["status"], status.get("message", "")

    def _carry_out(self, action: Any) -> None:
        match action:
            case CreateReplicaSet():
                metadata = action.manifest["metadata"]
                self.sets[action.template] = ReplicaSet(
                    name=metadata["name"], hash=metadata["labels"][keys.POD_TEMPLATE_HASH],
                    replicas=action.manifest["spec"]["replicas"], annotations=metadata["annotations"],
                )  # fmt: skip
            case ScaleReplicaSet():
                held = {name: each for name, each in self.sets.items() if each.name == action.name}
                for name, each in held.items():
                    merged = {**each.annotations, **action.annotations}
                    kept = {key: value for key, value in merged.items() if value is not None}
                    size = action.after
                    counts = {"current": size, "ready": min(each.ready, size), "available": min(each.available, size)}
                    self.sets[name] = replace(each, replicas=size, annotations=kept, **counts)
            case CreateService():
                chosen = action.manifest["spec"]["selector"][keys.POD_TEMPLATE_HASH]
                self.services[action.template] = Service(name=action.manifest["metadata"]["name"], uid="uid-service", hash=chosen)
            case DeleteService():
                self.services = {name: each for name, each in self.services.items() if each.name != action.name}
            case StartAnalysis():
                name = action.manifest["metadata"]["name"]
                self.runs[name] = AnalysisRun(name=name, phase="", spec=action.manifest["spec"])
            case TerminateAnalysis():
                self.runs[action.name] = replace(self.runs[action.name], terminate=True, phase="Successful")


def bench(*templates: Any, **spec: Any) -> Bench:
    return Bench({"templates": list(templates or [a_template()]), **spec})


# --- its way ------------------------------------------------------------------------------------------------------------


def test_it_is_pending_until_every_template_serves_and_measures_only_then() -> None:
    trial = bench(a_template("one"), a_template("two", replicas=2), **MEASURED)
    assert trial.settle() == "Pending"
    assert trial.sizes == {"one": 1, "two": 2}
    trial.serve(1)
    assert trial.settle() == "Pending"
    assert (trial.told("one")[0], trial.told("two")[0]) == ("Running", "Progressing")
    assert trial.runs == {}
    trial.serve()
    assert trial.settle() == "Running"
    assert list(trial.runs) == ["exp-a"]
    assert trial.status["availableAt"] == rfc3339(START)


def test_it_is_successful_when_its_duration_is_over_and_not_a_moment_before() -> None:
    trial = bench(duration="10s").running()
    ends = epoch(trial.status["availableAt"]) + 10
    assert trial.look().wake_at == ends
    trial.now = ends - 0.001
    assert trial.settle() == "Running"
    trial.now = ends
    assert trial.settle() == "Successful"
    assert trial.told() == ("Successful", "")


def test_without_a_duration_it_runs_until_it_is_told_to_end() -> None:
    trial = bench().running()
    trial.wait(10**6)
    assert trial.settle() == "Running"
    trial.spec = {**trial.spec, "terminate": True}
    assert trial.settle() == "Successful"


@pytest.mark.parametrize("phase", ["Failed", "Error", "Inconclusive"])
def test_a_bad_verdict_ends_it_at_once_with_its_words_and_ends_the_other_runs(phase: str) -> None:
    other = {"name": "b", "templateName": "check"}
    trial = bench(duration="10s", analyses=[*MEASURED["analyses"], other]).running()
    trial.conclude(phase, "no good")
    assert trial.settle() == phase
    assert trial.status["message"] == "no good"
    assert trial.runs["exp-b"].terminate
    assert trial.told() == ("Successful", "")


def test_what_was_required_ends_it_successfully_before_its_time() -> None:
    trial = bench(duration="10s", analyses=[*REQUIRED["analyses"], {"name": "b", "templateName": "check"}]).running()
    trial.conclude("Successful", name="exp-b")
    assert trial.settle() == "Running"
    trial.conclude("Successful")
    assert trial.settle() == "Successful"
    assert trial.status["message"] == "Required AnalysisRuns completed"


def test_only_what_is_required_is_waited_for_when_the_time_is_over() -> None:
    optional, required = bench(duration="10s", **MEASURED).running(), bench(duration="10s", **REQUIRED).running()
    for each in (optional, required):
        each.wait(11)
    assert (optional.settle(), required.settle()) == ("Successful", "Running")
    assert optional.runs["exp-a"].terminate
    required.conclude("Failed", "late")
    assert required.settle() == "Failed"


def test_what_was_required_and_came_after_the_time_says_so() -> None:
    late = bench(duration="10s", **REQUIRED).running()
    late.wait(11)
    late.settle()
    late.conclude("Successful")
    assert (late.settle(), late.status["message"]) == ("Successful", "Required AnalysisRuns completed")


def test_what_becomes_of_a_run_that_the_end_cuts_short_changes_nothing_any_more() -> None:
    trial = bench(duration="10s", **MEASURED).running()
    trial.conclude("Running")
    trial.settle()
    trial.wait(11)
    trial.settle()
    trial.conclude("Successful", "Run Terminated")
    trial.settle()
    assert [(each["name"], each["phase"]) for each in trial.status["analysisRuns"]] == [("a", "Running")]


def test_a_template_that_does_not_get_ready_in_time_fails_it() -> None:
    trial = bench(a_template("one"), a_template("two"), progressDeadlineSeconds=60)
    trial.settle()
    assert trial.look().wake_at == START + 60
    trial.wait(60)
    assert trial.settle() == "Failed"
    assert trial.told() == ("Failed", "Template 'one' exceeded its progressDeadlineSeconds (60)")
    assert trial.status["message"] == "Template 'one' exceeded its progressDeadlineSeconds (60)"


def test_pods_that_are_lost_later_have_the_deadline_once_more() -> None:
    trial = bench(progressDeadlineSeconds=60).running()
    trial.wait(500)
    trial.serve(0)
    assert trial.settle() == "Pending"
    trial.wait(59)
    assert trial.settle() == "Pending"
    trial.serve()
    assert trial.settle() == "Running"


def test_a_refused_child_fails_it_with_the_api_servers_words() -> None:
    trial = bench()
    trial.look()
    trial.sets, trial.refusals = {}, {"one": "Failed to create ReplicaSet for template 'one': exceeded quota"}
    assert trial.settle() == "Error"
    assert trial.status["message"] == "Failed to create ReplicaSet for template 'one': exceeded quota"
    assert trial.sets == {}


# --- its analyses -------------------------------------------------------------------------------------------------------


def test_a_missing_analysis_template_is_an_error_before_any_pod_serves() -> None:
    trial = bench(analyses=[{"name": "a", "templateName": "nobody"}])
    assert trial.settle() == "Error"
    text = "AnalysisTemplate verification failed for analysis 'a': analysistemplate.argoproj.io \"nobody\" not found"
    assert trial.status["message"] == text


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("{{templates.one.podTemplateHash}}", "<hash>"),
        ("{{ templates.one.replicaset.name }}", "exp-one"),
        ("from {{experiment.availableAt}}", f"from {rfc3339(START)}"),
        ("{{experiment.finishedAt}}", rfc3339(START + 30)),
        ("plain", "plain"),
    ],
)
def test_arguments_name_the_pods_and_the_times(value: str, expected: str) -> None:
    args = [{"name": "to", "value": value}]
    trial = bench(duration="30s", analyses=[{"name": "a", "templateName": "check", "args": args}]).running()
    assert trial.runs["exp-a"].spec["args"] == [{"name": "to", "value": expected.replace("<hash>", trial.sets["one"].hash)}]


@pytest.mark.parametrize("tag", ["templates.two.podTemplateHash", "experiment.finishedAt", "anything"])
def test_an_argument_that_means_nothing_is_an_error_that_names_it(tag: str) -> None:
    args = [{"name": "to", "value": f"{{{{{tag}}}}}"}]
    trial = bench(analyses=[{"name": "a", "templateName": "check", "args": args}])
    trial.settle()
    trial.serve()
    assert trial.settle() == "Error"
    assert trial.status["message"].startswith(f"Failed to create AnalysisRun for analysis 'a': failed to resolve {{{{{tag}}}}}")


def test_rules_and_metadata_reach_the_run() -> None:
    metadata = {"labels": {"team": "blue"}, "annotations": {"note": "x"}}
    rules = {"dryRun": [{"metricName": "m"}], "measurementRetention": [{"metricName": "m", "limit": 3}]}
    trial = bench(**rules, analysisRunMetadata=metadata, **MEASURED).running()
    (started,) = [each.manifest for each in trial.asked if isinstance(each, StartAnalysis)]
    assert started["spec"]["dryRun"] == [{"metricName": "m"}]
    assert started["spec"]["measurementRetention"] == [{"metricName": "m", "limit": 3}]
    assert (started["metadata"]["labels"], started["metadata"]["annotations"]) == ({"team": "blue"}, {"note": "x"})
    assert started["metadata"]["ownerReferences"][0]["uid"] == "uid-exp"


def test_retried_it_measures_anew_under_another_name_on_the_same_pods() -> None:
    trial = bench(duration="10s", **MEASURED).running()
    trial.conclude("Failed")
    trial.settle()
    trial.status = {}
    assert trial.settle() == "Running"
    assert list(trial.runs) == ["exp-a", "exp-a.1"]
    assert trial.sets["one"].scale_down_deadline is None
    trial.conclude("Successful", name="exp-a.1")
    trial.wait(20)
    assert trial.settle() == "Successful"


# --- its pods -----------------------------------------------------------------------------------------------------------


def test_pods_stay_for_the_scale_down_delay_and_then_go() -> None:
    trial = bench(duration="10s", scaleDownDelaySeconds=5).running()
    trial.wait(10)
    trial.settle()
    assert (trial.sizes, trial.sets["one"].scale_down_deadline) == ({"one": 1}, rfc3339(trial.now + 5))
    assert trial.look().wake_at == trial.now + 5
    trial.wait(5)
    trial.settle()
    assert trial.sizes == {"one": 0}


def test_pods_that_still_get_requests_do_not_go() -> None:
    trial = bench(duration="10s", scaleDownDelaySeconds=0).running()
    trial.in_traffic = frozenset({trial.sets["one"].hash})
    trial.wait(10)
    assert trial.settle() == "Successful"
    assert trial.sizes == {"one": 1}
    trial.in_traffic = frozenset()
    trial.settle()
    assert trial.sizes == {"one": 0}


def test_a_service_comes_with_the_pods_and_goes_after_them() -> None:
    trial = bench(a_template(service={}), a_template("two", service={"name": "front"}), duration="10s", scaleDownDelaySeconds=5)
    trial.running()
    assert {each.name for each in trial.services.values()} == {"exp-one", "front"}
    status = trial.status["templateStatuses"][0]
    assert (status["serviceName"], status["podTemplateHash"]) == ("exp-one", trial.sets["one"].hash)
    trial.wait(10)
    trial.settle()
    assert len(trial.services) == 2
    trial.wait(5)
    trial.settle()
    assert trial.services == {}


def test_without_a_container_port_there_is_no_service() -> None:
    pod = {"metadata": {"labels": {"app": "trial"}}, "spec": {"containers": [{"name": "app", "image": "x"}]}}
    assert bench(a_template(service={}, template=pod)).running().services == {}


def test_equal_templates_can_be_told_apart_by_their_pods_hash() -> None:
    trial = bench(a_template("one"), a_template("two")).running()
    assert trial.sets["one"].hash != trial.sets["two"].hash
    (first, _) = [each.manifest for each in trial.asked if isinstance(each, CreateReplicaSet)]
    labels = first["spec"]["template"]["metadata"]["labels"]
    assert labels == first["spec"]["selector"]["matchLabels"] == {"app": "trial", keys.POD_TEMPLATE_HASH: trial.sets["one"].hash}
    assert first["metadata"]["annotations"] == {keys.EXPERIMENT_NAME: "exp", keys.EXPERIMENT_TEMPLATE_NAME: "one"}


# --- conditions and bad specs -------------------------------------------------------------------------------------------


def test_its_condition_tells_how_far_it_is() -> None:
    trial, words = bench(duration="10s"), []
    for act in (trial.settle, trial.running, lambda: (trial.wait(10), trial.settle())):
        act()
        (condition,) = trial.status["conditions"]
        words.append((condition["status"], condition["reason"], condition["message"]))
    assert words == [
        ("True", "ReplicaSetUpdated", 'Experiment "exp" is progressing.'),
        ("True", "NewReplicaSetAvailable", 'Experiment "exp" is running.'),
        ("False", "ExperimentCompleted", 'Experiment "exp" has successfully ran and completed.'),
    ]


def test_a_failed_one_does_not_say_that_it_succeeded() -> None:
    trial = bench(**MEASURED).running()
    trial.conclude("Failed")
    trial.settle()
    (condition,) = trial.status["conditions"]
    assert (condition["reason"], condition["message"]) == ("ExperimentCompleted", 'Experiment "exp" has ended: Failed')


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"templates": [{"name": "one"}]}, "Rollout has missing field '.Spec.Templates[0].Selector'"),
        (
            {"templates": [a_template(selector={})]},
            "This experiment is selecting all pods at index 0. A non-empty selector is required.",
        ),
        (
            {"templates": [a_template("one"), a_template("two", minReadySeconds=601)]},
            "MinReadySeconds cannot be longer than ProgressDeadlineSeconds. Check template index 1",
        ),
        ({"templates": [a_template("")]}, "Experiment exp has empty template name at index 0"),
        ({"templates": [a_template(), a_template()]}, "Experiment exp has repeated template name 'one' in templates"),
        ({"templates": [a_template()], "analyses": [{}]}, "Experiment exp has empty analysis name at index 0"),
        (
            {"templates": [a_template()], "analyses": [{"name": "a"}, {"name": "a"}]},
            "Experiment exp has repeated analysis name 'a' in analyses",
        ),
        (
            {"templates": [a_template()], "duration": "soon"},
            "spec.duration: Invalid value: 'soon' is not a duration; write numbers with units, such as 500ms, 10s, 5m or 1h30m",
        ),
    ],
)
def test_what_cannot_be_run_is_said_and_nothing_is_done_until_it_is_mended(spec: Any, message: str) -> None:
    trial = Bench(spec)
    plan = trial.look()
    (condition,) = plan.status["conditions"]
    assert (condition["type"], condition["reason"], condition["message"]) == ("InvalidSpec", "InvalidSpec", message)
    assert plan.actions == ()
    trial.spec = {"templates": [a_template()]}
    assert trial.settle() == "Pending"
    assert [each["type"] for each in trial.status["conditions"]] == ["Progressing"]


# --- whatever happens ---------------------------------------------------------------------------------------------------

HAPPENINGS = st.lists(
    st.one_of(
        st.tuples(st.just("serve"), st.integers(0, 2)),
        st.tuples(st.just("wait"), st.sampled_from([0.5, 5.0, 30.0, 700.0])),
        st.tuples(st.just("conclude"), st.sampled_from(["Running", *ENDS])),
        st.tuples(st.just("terminate"), st.none()),
        st.tuples(st.just("lose set"), st.none()),
        st.tuples(st.just("traffic"), st.booleans()),
    ),
    max_size=12,
)


def happen(trial: Bench, kind: str, value: Any) -> None:
    match kind:
        case "serve":
            trial.serve(value)
        case "wait":
            trial.wait(value)
        case "conclude" if "exp-a" in trial.runs and trial.runs["exp-a"].phase not in ENDS:
            trial.conclude(value)
        case "terminate":
            trial.spec = {**trial.spec, "terminate": True}
        case "lose set":
            trial.sets = {}
        case "traffic":
            trial.in_traffic = frozenset(each.hash for each in trial.sets.values()) if value else frozenset()


@settings(max_examples=300)
@given(
    HAPPENINGS, st.sampled_from([None, "3s", "1m"]), st.sampled_from([{}, MEASURED, REQUIRED]), st.sampled_from([0, 5, None])
)
def test_an_end_is_an_end_and_every_plan_comes_to_rest(
    happenings: list[tuple[str, Any]], duration: str | None, measured: Any, delay: int | None
) -> None:
    trial = bench(a_template(replicas=2, service={}), **measured, duration=duration, scaleDownDelaySeconds=delay)
    ended = ""
    for kind, value in happenings:
        happen(trial, kind, value)
        phase = trial.settle()
        assert not ended or phase == ended
        ended = phase if phase in ENDS else ""
        if ended:
            assert all(run.phase in ENDS for run in trial.runs.values())
            assert all(each["status"] in ENDS for each in trial.status["templateStatuses"])
        wake_at = trial.look().wake_at
        assert wake_at is None or wake_at >= trial.now
    if ended:
        trial.in_traffic = frozenset()
        for _ in range(3):
            trial.wait(31)
            trial.settle()
        assert set(trial.sizes.values()) <= {0}
        assert trial.services == {}
