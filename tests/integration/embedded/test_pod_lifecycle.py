"""What the stages in deploy/embedded/stages promise, seen through a real API server, scheduler and Job controller."""

import time
from datetime import datetime
from typing import Any

import pytest

from tidegate_embedded import ControlPlane
from tidegate_embedded.testing import wait_until

pytestmark = pytest.mark.integration


def pod_template(
    image: str = "registry:5000/web:1", *, annotations: dict[str, str] | None = None, **container: Any
) -> dict[str, Any]:
    return {
        "metadata": {"labels": {"app": "web"}, "annotations": annotations or {}},
        "spec": {"containers": [{"name": "web", "image": image, **container}]},
    }


class Cluster:
    """The calls these tests make, in one namespace."""

    def __init__(self, control_plane: ControlPlane, namespace: str) -> None:
        self.client = control_plane.client
        self.core = f"/api/v1/namespaces/{namespace}"
        self.batch = f"/apis/batch/v1/namespaces/{namespace}"

    def create_pod(self, name: str, template: dict[str, Any]) -> None:
        metadata = {**template["metadata"], "name": name}
        self.client.post(f"{self.core}/pods", {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]})

    def create_job(self, name: str, *, command: list[str], args: list[str] | None = None, restart_policy: str = "Never") -> None:
        template = pod_template(command=command, args=args or [])
        template["spec"]["restartPolicy"] = restart_policy
        spec = {"backoffLimit": 0, "template": template}
        self.client.post(f"{self.batch}/jobs", {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": spec})

    def pod(self, name: str) -> dict[str, Any]:
        pod: dict[str, Any] = self.client.get(f"{self.core}/pods/{name}")
        return pod

    def pods(self) -> list[dict[str, Any]]:
        pods: list[dict[str, Any]] = self.client.get(f"{self.core}/pods")["items"]
        return pods

    def job_condition(self, name: str) -> str | None:
        conditions = self.client.get(f"{self.batch}/jobs/{name}").get("status", {}).get("conditions", [])
        return next((c["type"] for c in conditions if c["status"] == "True" and c["type"] in {"Complete", "Failed"}), None)


@pytest.fixture
def cluster(control_plane: ControlPlane, namespace: str) -> Cluster:
    return Cluster(control_plane, namespace)


def condition(pod: dict[str, Any], kind: str) -> dict[str, Any]:
    return next((c for c in pod["status"].get("conditions", []) if c["type"] == kind), {"status": "absent"})


def is_ready(pod: dict[str, Any]) -> bool:
    return bool(condition(pod, "Ready")["status"] == "True")


def is_running(pod: dict[str, Any]) -> bool:
    return bool(pod["status"]["phase"] == "Running")


def test_a_pod_is_scheduled_and_ready_with_an_address_of_its_own(cluster: Cluster) -> None:
    for name in ("one", "two"):
        cluster.create_pod(name, pod_template())
    wait_until(lambda: all(is_ready(cluster.pod(name)) for name in ("one", "two")), what="two Ready pods")

    pods = [cluster.pod("one"), cluster.pod("two")]
    assert all(pod["spec"]["nodeName"].startswith("node-") for pod in pods)
    assert all(pod["status"]["podIP"].startswith("10.244.") for pod in pods)
    assert len({pod["status"]["podIP"] for pod in pods}) == 2
    (status,) = pods[0]["status"]["containerStatuses"]
    assert (status["ready"], status["started"], status["restartCount"]) == (True, True, 0)
    assert status["imageID"].startswith("sha256:")


def test_the_endpoints_of_a_service_are_the_ready_pods(cluster: Cluster) -> None:
    service = {"selector": {"app": "web"}, "ports": [{"port": 80}]}
    cluster.client.post(
        f"{cluster.core}/services", {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": service}
    )
    cluster.create_pod("good", pod_template())
    cluster.create_pod("bad", pod_template("web:bad"))
    slices = cluster.core.replace("/api/v1", "/apis/discovery.k8s.io/v1") + "/endpointslices"

    def readiness() -> dict[str, bool]:
        endpoints = [e for item in cluster.client.get(slices)["items"] for e in item["endpoints"] or []]
        return {e["targetRef"]["name"]: e["conditions"]["ready"] for e in endpoints}

    wait_until(lambda: readiness() == {"good": True, "bad": False}, what="both endpoints")


@pytest.mark.parametrize(
    "image",
    [
        pytest.param("web:bad", id="plain"),
        pytest.param("registry:5000/team/web:1.2-bad", id="behind a registry with a port"),
    ],
)
def test_an_image_whose_tag_contains_bad_runs_but_is_never_ready(cluster: Cluster, image: str) -> None:
    cluster.create_pod("bad", pod_template(image))
    wait_until(lambda: is_running(cluster.pod("bad")), what="the pod to run")
    time.sleep(1.0)
    pod = cluster.pod("bad")
    assert (is_running(pod), condition(pod, "Ready")["status"]) == (True, "False")
    assert pod["status"]["containerStatuses"][0]["ready"] is False


def test_bad_in_the_repository_or_in_the_digest_of_an_image_means_nothing(cluster: Cluster) -> None:
    cluster.create_pod("repository", pod_template("badger/bad:1"))
    cluster.create_pod("digest", pod_template("web@sha256:" + "bad0" * 16))
    wait_until(lambda: all(is_ready(cluster.pod(name)) for name in ("repository", "digest")), what="both pods to be Ready")


def test_an_image_whose_tag_contains_crash_restarts_again_and_again(cluster: Cluster) -> None:
    cluster.create_pod("crash", pod_template("web:crash"))
    seen: set[str] = set()

    def has_crashed_twice() -> bool:
        pod = cluster.pod("crash")
        assert not is_ready(pod)
        (status,) = pod["status"].get("containerStatuses") or [{"state": {}, "restartCount": 0}]
        seen.add(status["state"].get("waiting", {}).get("reason", "none"))
        return bool(status["restartCount"] >= 2) and "CrashLoopBackOff" in seen  # a second each time: not every one is seen

    wait_until(has_crashed_twice, what="two restarts, and a back-off between them")
    assert cluster.pod("crash")["status"]["containerStatuses"][0]["lastState"]["terminated"]["exitCode"] == 1


def a_slow_template(*, probe_delay: int) -> dict[str, Any]:
    probe = {"initialDelaySeconds": probe_delay, "httpGet": {"port": 80}}
    return pod_template(annotations={"embedded.tidegate/ready-delay": "0.5"}, readinessProbe=probe)


def test_readiness_waits_for_the_delay_plus_the_probes_initial_delay(cluster: Cluster) -> None:
    started = time.time()
    cluster.create_pod("slow", a_slow_template(probe_delay=2))
    wait_until(lambda: is_ready(cluster.pod("slow")), what="the pod to be Ready")
    assert time.time() >= started + 2.5
    assert condition(cluster.pod("slow"), "embedded.tidegate/next") == {"status": "absent"}


def test_an_update_of_a_pod_that_is_not_ready_yet_does_not_make_it_wait_anew(cluster: Cluster) -> None:
    """One that is due long after this test, which may take its time to look at it."""

    def due() -> float:
        return datetime.fromisoformat(condition(cluster.pod("slow"), "embedded.tidegate/next")["message"]).timestamp()

    started = time.time()
    cluster.create_pod("slow", a_slow_template(probe_delay=3600))
    wait_until(lambda: is_running(cluster.pod("slow")), what="the pod to run")
    before = due()
    assert before >= started + 3600.5
    cluster.client.call("PATCH", f"{cluster.core}/pods/slow", {"metadata": {"labels": {"touched": "yes"}}})
    time.sleep(1.0)
    assert due() == before


@pytest.mark.parametrize(
    "pre_stop",
    [
        pytest.param({"sleep": {"seconds": 2}}, id="sleep action"),
        pytest.param({"exec": {"command": ["sh", "-c", "sleep 2"]}}, id="exec"),
    ],
)
def test_a_deleted_pod_stays_for_its_pre_stop_sleep(cluster: Cluster, pre_stop: dict[str, Any]) -> None:
    cluster.create_pod("web", pod_template(lifecycle={"preStop": pre_stop}))
    wait_until(lambda: is_ready(cluster.pod("web")), what="the pod to be Ready")
    started = time.monotonic()
    cluster.client.call("DELETE", f"{cluster.core}/pods/web")
    wait_until(lambda: not cluster.pods(), what="the pod to be gone")
    assert time.monotonic() - started >= 2.0


def test_a_deleted_pod_without_pre_stop_does_not_use_up_its_grace_period(cluster: Cluster) -> None:
    template = pod_template()
    template["spec"]["terminationGracePeriodSeconds"] = 600
    cluster.create_pod("web", template)
    wait_until(lambda: is_ready(cluster.pod("web")), what="the pod to be Ready")
    cluster.client.call("DELETE", f"{cluster.core}/pods/web")
    wait_until(lambda: not cluster.pods(), what="the pod to be gone")


@pytest.mark.parametrize(
    ("command", "args", "exit_code", "seconds"),
    [
        pytest.param(["sh", "-c", "sleep 2 && exit 3"], [], 3, 2.0, id="sleep and exit"),
        pytest.param(["sh", "-c"], ["exit 4"], 4, 0.0, id="exit in args"),
        pytest.param(["sleep", "1"], [], 0, 1.0, id="sleep alone"),
        pytest.param(["true"], [], 0, 0.0, id="anything else"),
    ],
)
def test_a_job_ends_the_way_its_command_would(
    cluster: Cluster, command: list[str], args: list[str], exit_code: int, seconds: float
) -> None:
    started = time.monotonic()
    cluster.create_job("measure", command=command, args=args)
    wait_until(lambda: cluster.job_condition("measure") is not None, what="the Job to end")

    assert time.monotonic() - started >= seconds
    assert cluster.job_condition("measure") == ("Failed" if exit_code else "Complete")
    (pod,) = cluster.pods()
    assert pod["status"]["phase"] == ("Failed" if exit_code else "Succeeded")
    assert pod["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"] == exit_code


def test_a_job_pod_that_may_restart_counts_its_failures_in_place(cluster: Cluster) -> None:
    cluster.create_job("measure", command=["sh", "-c", "exit 1"], restart_policy="OnFailure")
    wait_until(lambda: cluster.job_condition("measure") == "Failed", what="the Job to fail by its backoffLimit")


def test_a_deleted_job_takes_its_running_pod_along(cluster: Cluster) -> None:
    cluster.create_job("measure", command=["sleep", "600"])
    wait_until(lambda: [is_running(pod) for pod in cluster.pods()] == [True], what="the pod to run")
    cluster.client.call("DELETE", f"{cluster.batch}/jobs/measure", {"propagationPolicy": "Background"})
    wait_until(lambda: not cluster.pods(), what="the pod to be gone")
