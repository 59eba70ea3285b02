"""A Rollout that cannot work is refused: in the peer's and Kubernetes' own words, and whatever is wrong with it.

The expected words are in `golden/validation-*.yaml`.
"""

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tidegate_planner.validation import References, message, problems

GOLDEN = Path(__file__).parent / "golden"
LABELS = {"app": "app"}
CONTAINER = {"name": "demo", "image": "demo:v1"}


def rollout(**laid_over):
    template = {"metadata": {"labels": LABELS}, "spec": {"containers": [CONTAINER]}}
    sound = {"replicas": 4, "selector": {"matchLabels": LABELS}, "template": template, "strategy": {"canary": {}}}
    spec = {name: value for name, value in {**sound, **laid_over}.items() if value is not None}
    return {"metadata": {"name": "app"}, "spec": spec}


def golden(name):
    cases = yaml.safe_load((GOLDEN / f"validation-{name}.yaml").read_text())
    assert cases
    return pytest.mark.parametrize("case", cases, ids=[case["case"] for case in cases])


def said(manifest, references=References()):  # noqa: B008 - frozen
    return [str(problem) for problem in problems(manifest, references)]


@golden("recorded")
def test_the_first_problem_reads_as_the_peer_wrote_it(case):
    first = problems(rollout(**case["spec"]), References(ingresses={"none": None}))[0]
    assert message("app", first) == f'The Rollout "app" is invalid: {case["says"][0]}'


@golden("spec")
def test_what_cannot_work_is_said_with_field_value_and_reason(case):
    assert said(rollout(**case["spec"])) == case["says"]


@golden("types")
def test_a_wrong_type_is_a_problem_like_any_other(case):
    assert said(rollout(**case["spec"])) == case["says"]


@golden("pods")
def test_a_pod_template_is_judged_as_kubernetes_judges_it(case):
    metadata = {"labels": case.get("labels", LABELS), "annotations": case.get("annotations")}
    pod = {"containers": [{**CONTAINER, **case.get("container", {})}], **case.get("pod", {})}
    selector = case.get("selector", {"matchLabels": LABELS})
    assert said(rollout(selector=selector, template={"metadata": metadata, "spec": pod})) == case["says"]


@golden("references")
def test_objects_that_are_named_must_exist_and_fit(case):
    assert said(rollout(strategy=case["strategy"]), References(**case.get("found", {}))) == case["says"]


def test_a_template_read_from_the_workload_is_checked_like_a_written_one():
    empty = {"metadata": {"labels": LABELS}, "spec": {"containers": []}}
    resolved = rollout(workloadRef={"kind": "Deployment", "name": "web"}, template=empty)
    assert said(resolved, References(workload_resolved=True)) == ["spec.template.spec.containers: Required value"]


def test_all_problems_are_found_in_the_peers_order():
    strategy = {"canary": {"steps": [{"setWeight": 101}, {}], "maxSurge": 0, "maxUnavailable": 0}}
    found = problems(rollout(strategy=strategy, replicas=-1, selector={}, minReadySeconds=-1))
    assert [problem.field for problem in found] == [
        "spec.replicas",
        "spec.selector",
        "spec.minReadySeconds",
        "spec.strategy.maxSurge",
        "spec.strategy.steps[0].setWeight",
        "spec.strategy.steps[1]",
    ]


def test_the_seed_rollout_is_sound():
    seed = Path(__file__).parents[3] / "deploy/examples/seed-rollout.yaml"
    assert problems(yaml.safe_load(seed.read_text())) == []


@pytest.mark.parametrize("manifest", [{}, {"spec": None}, {"metadata": None, "spec": []}, [], "rollout", 7, None])
def test_what_is_no_rollout_at_all_is_a_problem(manifest):
    assert problems(manifest)


def test_a_value_that_contains_itself_can_still_be_shown():
    anchored = {}
    anchored["self"] = anchored
    assert said(rollout(replicas=anchored)) == ["spec.replicas: Invalid value: {'self': {...}}: must be a whole number"]


# -- no manifest makes it raise: one place of a rich one is replaced by anything

RICH = [
    rollout(**case["spec"])
    for name in ("recorded", "spec")
    for case in yaml.safe_load((GOLDEN / f"validation-{name}.yaml").read_text())
] + [
    rollout(
        template={
            "metadata": {"labels": LABELS, "annotations": {"a": "b"}},
            "spec": {
                "containers": [
                    {
                        **CONTAINER,
                        "ports": [{"name": "http", "containerPort": 80, "hostPort": 80}],
                        "env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
                        "resources": {"requests": {"cpu": "1"}, "limits": {"cpu": "2", "x.y/z": 1}},
                        "volumeMounts": [{"name": "data", "mountPath": "/data", "subPath": "x"}],
                        "livenessProbe": {"httpGet": {"path": "/", "port": "http"}, "periodSeconds": 5},
                        "readinessProbe": {"exec": {"command": ["true"]}},
                    }
                ],
                "initContainers": [{"name": "init", "image": "init"}],
                "volumes": [{"name": "data", "configMap": {"name": "data"}}],
            },
        }
    )
]
REFERENCED = yaml.safe_load((GOLDEN / "validation-references.yaml").read_text())
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5) | st.integers(), inner, max_size=3),
    max_leaves=6,
)


def places(value, path=()):
    yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inner:
        yield from places(each, (*path, key))


def replaced(value, path, new):
    if not path:
        return new
    copy = list(value) if isinstance(value, list) else dict(value)
    copy[path[0]] = replaced(value[path[0]], path[1:], new)
    return copy


@given(st.data(), ANYTHING)
def test_no_replaced_value_makes_it_raise(data, new):
    manifest = data.draw(st.sampled_from(RICH))
    mutant = replaced(manifest, data.draw(st.sampled_from(list(places(manifest)))), new)
    assert all(message("app", problem) for problem in problems(mutant))


@given(st.data(), ANYTHING)
def test_no_odd_object_beside_it_makes_it_raise(data, new):
    case = data.draw(st.sampled_from([case for case in REFERENCED if case.get("found")]))
    lookup = data.draw(st.sampled_from(sorted(case["found"])))
    name = data.draw(st.sampled_from(sorted(case["found"][lookup])))
    manifest = case["found"][lookup][name] or {"spec": {"selector": {}, "rules": [], "http": []}}
    odd = replaced(manifest, data.draw(st.sampled_from(list(places(manifest))[1:])), new)
    found = {**case["found"], lookup: {**case["found"][lookup], name: odd}}
    assert all(str(problem) for problem in problems(rollout(strategy=case["strategy"]), References(**found)))


@pytest.mark.parametrize("new", [None, True, -1, 0.5, "", "x", [], [None], {}, {"": None}], ids=repr)
def test_no_place_of_a_rich_rollout_makes_it_raise(new):
    for manifest in RICH[-8:]:
        for path in places(manifest):
            assert all(str(problem) for problem in problems(replaced(manifest, path, new)))
