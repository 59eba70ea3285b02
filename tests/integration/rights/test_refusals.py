"""What is not granted is refused: every right in turn once it is taken away, and what nobody should think of granting."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nats as nats_py
import pytest
import yaml

from tidegate.bus.rights import ROLES, authorization
from tidegate.bus.server import LocalNats
from tidegate.testing import a_rollout
from tidegate_cli.local.identities import BusUsers
from tidegate_embedded import ControlPlane
from tidegate_embedded.api import CallError, Client
from tidegate_embedded.testing import wait_until

pytestmark = pytest.mark.integration

RBAC = Path(__file__).parents[3] / "deploy" / "rbac"
SERVICES = ("planner", "traffic-shifter", "analyzer", "notifier")
ROLE_PATH = "/apis/rbac.authorization.k8s.io/v1/clusterroles"
VERSIONS = {
    "": "v1",
    "apps": "v1",
    "batch": "v1",
    "argoproj.io": "v1alpha1",
    "discovery.k8s.io": "v1",
    "networking.k8s.io": "v1",
    "gateway.networking.k8s.io": "v1",
    "policy.linkerd.io": "v1beta3",
}
CLUSTER_WIDE = {"clusteranalysistemplates"}
OK, FORBIDDEN = 200, 403
PATIENCE = 300  # seconds; only costs time when something is broken

Rule = dict[str, list[str]]


# --- the cluster -------------------------------------------------------------------------------------------------------


@pytest.fixture
def clients(control_plane: ControlPlane, accounts: dict[str, Path]) -> dict[str, Client]:
    tokens = {service: yaml.safe_load(file.read_text())["users"][0]["user"]["token"] for service, file in accounts.items()}
    return {service: Client(server=control_plane.server, ca=control_plane.ca, token=token) for service, token in tokens.items()}


def base_files(service: str) -> list[Path]:
    """Of the routers only the base's."""
    routers = [RBAC / "routers" / "gateway-api" / "role.yaml"] if service == "traffic-shifter" else []
    return [RBAC / f"{service}.yaml", *routers]


def roles_of(service: str) -> dict[str, list[Rule]]:
    """The ClusterRoles of a service, each right a rule of its own."""
    documents = [each for file in base_files(service) for each in yaml.safe_load_all(file.read_text())]
    return {each["metadata"]["name"]: singles(each["rules"]) for each in documents if each["kind"] == "ClusterRole"}


def singles(rules: list[Rule]) -> list[Rule]:
    return [
        {"apiGroups": [group], "resources": [resource], "verbs": [verb]}
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    ]


@contextmanager
def without(control_plane: ControlPlane, role: str, rules: list[Rule], taken: Rule) -> Iterator[None]:
    left = [rule for rule in rules if rule != taken]
    control_plane.client.call("PATCH", f"{ROLE_PATH}/{role}", {"rules": left})
    try:
        yield
    finally:
        control_plane.client.call("PATCH", f"{ROLE_PATH}/{role}", {"rules": rules})


def status_of(client: Client, method: str, path: str, body: dict[str, Any] | None = None) -> int:
    try:
        client.call(method, path, body)
    except CallError as error:
        return error.status or 0
    return OK


def attempt(client: Client, namespace: str, group: str, resource: str, verb: str) -> int:
    """A request that needs exactly this right and does nothing if it is granted: about an object that does not exist."""
    resource, _, subresource = resource.partition("/")
    root = f"/apis/{group}/{VERSIONS[group]}" if group else f"/api/{VERSIONS[group]}"
    collection = f"{root}/{resource}" if resource in CLUSTER_WIDE else f"{root}/namespaces/{namespace}/{resource}"
    one = f"{collection}/absent" + (f"/{subresource}" if subresource else "")
    calls: dict[str, tuple[str, str, dict[str, Any] | None]] = {
        "get": ("GET", one, None),
        "list": ("GET", f"{collection}?limit=1", None),
        "watch": ("GET", f"{collection}?watch=1&resourceVersion=none", None),
        "create": ("POST", one if subresource else collection, {}),
        "patch": ("PATCH", one, {}),
        "update": ("PUT", one, {}),
        "delete": ("DELETE", one, None),
    }
    return status_of(client, *calls[verb])


@pytest.mark.parametrize("service", SERVICES)
def test_each_right_on_the_cluster_is_refused_once_it_is_taken_away(
    control_plane: ControlPlane, clients: dict[str, Client], namespace: str, service: str
) -> None:
    client = clients[service]
    for role, rules in roles_of(service).items():
        for rule in rules:
            right = (rule["apiGroups"][0], rule["resources"][0], rule["verbs"][0])
            if right[1].endswith("/finalizers"):
                continue  # asked for by the API server itself: the next test
            wait_until(lambda right=right: attempt(client, namespace, *right) != FORBIDDEN, what=f"{service} to be granted {right}")
            with without(control_plane, role, rules, rule):
                wait_until(lambda right=right: attempt(client, namespace, *right) == FORBIDDEN, what=f"{right} to be refused")


def child(namespace: str, kind: str, owner: dict[str, Any]) -> dict[str, Any]:
    """A child that blocks the deletion of its owner, as the services make them."""
    metadata = owner["metadata"]
    reference = {"apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": metadata["name"], "uid": metadata["uid"]}
    labels = {"app": "child"}
    pod = {"restartPolicy": "Never" if kind == "Job" else "Always", "containers": [{"name": "app", "image": "app:1"}]}
    template = {"metadata": {"labels": labels}, "spec": pod}
    specs: dict[str, tuple[str, dict[str, Any]]] = {
        "ReplicaSet": ("apps/v1", {"replicas": 0, "selector": {"matchLabels": labels}, "template": template}),
        "Job": ("batch/v1", {"template": template}),
        "AnalysisRun": ("argoproj.io/v1alpha1", {"metrics": []}),
    }
    version, spec = specs[kind]
    owners = [{**reference, "controller": True, "blockOwnerDeletion": True}]
    metadata = {"name": "child", "namespace": namespace, "ownerReferences": owners}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec}


@pytest.mark.parametrize(
    ("service", "kind", "owner"),
    [
        ("planner", "ReplicaSet", "rollouts"),
        ("planner", "ReplicaSet", "experiments"),
        ("analyzer", "AnalysisRun", "rollouts"),
        ("analyzer", "AnalysisRun", "experiments"),
        ("analyzer", "Job", "analysisruns"),
    ],
)
def test_a_child_that_blocks_its_owners_deletion_needs_the_right_to_its_finalizers(
    control_plane: ControlPlane, clients: dict[str, Client], namespace: str, service: str, kind: str, owner: str
) -> None:
    owners = f"/apis/argoproj.io/v1alpha1/namespaces/{namespace}"
    common = {"apiVersion": "argoproj.io/v1alpha1", "metadata": {"name": "owner"}}
    manifests: dict[str, dict[str, Any]] = {
        "rollouts": {**a_rollout("owner"), "apiVersion": "argoproj.io/v1alpha1"},
        "experiments": {**common, "kind": "Experiment", "spec": {"templates": []}},
        "analysisruns": {**common, "kind": "AnalysisRun", "spec": {"metrics": []}},
    }
    made = control_plane.client.post(f"{owners}/{owner}", manifests[owner])
    manifest = child(namespace, kind, made)
    path = f"/apis/{manifest['apiVersion']}/namespaces/{namespace}/{kind.lower()}s?dryRun=All"

    def answer() -> int:
        return status_of(clients[service], "POST", path, manifest)

    role = f"tidegate-{service}"
    rules = roles_of(service)[role]
    taken = {"apiGroups": ["argoproj.io"], "resources": [f"{owner}/finalizers"], "verbs": ["update"]}
    assert taken in rules
    wait_until(lambda: answer() == OK, what=f"{service} to be allowed to create a {kind}")
    with without(control_plane, role, rules, taken):
        wait_until(lambda: answer() == FORBIDDEN, what=f"{service} to be refused the {kind}")


@pytest.mark.parametrize(
    ("service", "group", "resource", "verb"),
    [
        ("planner", "", "services", "patch"),
        ("planner", "", "secrets", "get"),
        ("planner", "", "events", "create"),
        ("planner", "argoproj.io", "analysisruns", "create"),
        ("planner", "argoproj.io", "rollouts", "delete"),
        ("analyzer", "argoproj.io", "experiments", "get"),
        ("traffic-shifter", "", "services", "create"),
        ("planner", "gateway.networking.k8s.io", "httproutes", "patch"),
        ("traffic-shifter", "", "secrets", "get"),
        ("traffic-shifter", "argoproj.io", "rollouts", "patch"),
        ("traffic-shifter", "argoproj.io", "rollouts/status", "patch"),
        ("traffic-shifter", "apps", "replicasets", "patch"),
        ("traffic-shifter", "", "services", "delete"),
        ("traffic-shifter", "networking.k8s.io", "ingresses", "patch"),
        ("analyzer", "", "secrets", "list"),
        ("analyzer", "argoproj.io", "rollouts", "get"),
        ("analyzer", "apps", "replicasets", "patch"),
        ("analyzer", "", "services", "patch"),
        ("notifier", "argoproj.io", "rollouts", "get"),
        ("notifier", "argoproj.io", "rollouts", "patch"),
        ("notifier", "", "secrets", "get"),
        ("notifier", "", "events", "delete"),
    ],
)
def test_nobody_does_anothers_work_on_the_cluster(
    clients: dict[str, Client], namespace: str, service: str, group: str, resource: str, verb: str
) -> None:
    assert attempt(clients[service], namespace, group, resource, verb) == FORBIDDEN


# --- the bus -----------------------------------------------------------------------------------------------------------


NOBODYS = "nobody.may.publish.here"


async def refusals(server: LocalNats, user: str, password: str, act: Callable[[Any], Any]) -> list[str]:
    """What the server objects to when this user acts, up to its objection to what nobody may do: they come in order."""
    heard: list[str] = []
    ended = asyncio.Event()

    async def note(error: Exception) -> None:
        if NOBODYS in str(error).lower():
            ended.set()
        else:
            heard.append(str(error).lower())

    client = await nats_py.connect(
        server.url, user=user, password=password, error_cb=note, allow_reconnect=False, connect_timeout=PATIENCE
    )
    await act(client)
    await client.publish(NOBODYS)
    await client.flush(PATIENCE)
    await asyncio.wait_for(ended.wait(), PATIENCE)
    await client.close()
    return heard


def publishing(subject: str) -> Callable[[Any], Any]:
    return lambda client: client.publish(subject, b"")


def subscribing(subject: str) -> Callable[[Any], Any]:
    return lambda client: client.subscribe(subject)


def example(permission: str) -> str:
    return permission.replace("*", "x").replace(">", "x")


ACTS = {"publish": publishing, "subscribe": subscribing}


def reduced_users(user: str) -> list[dict[str, Any]]:
    """This user without its first permission, without its second, ..."""
    (whole,) = authorization({user: "pw"})["authorization"]["users"]
    permissions = whole["permissions"]
    return [
        {
            "user": f"{user}-without-{verb}-{place}",
            "password": "pw",
            "permissions": {**permissions, verb: all_but(taken, permissions[verb]["allow"])},
            "taken": (verb, taken),
        }
        for verb in ACTS
        for place, taken in enumerate(permissions[verb]["allow"])
    ]


def all_but(taken: str, permissions: list[str]) -> Any:
    """An empty list would be no restriction at all."""
    return [each for each in permissions if each != taken] or {"deny": [">"]}


@pytest.mark.parametrize("user", ROLES)
async def test_each_permission_on_the_bus_is_refused_once_it_is_taken_away(user: str) -> None:
    reduced = reduced_users(user)
    (whole,) = authorization({user: "pw"})["authorization"]["users"]
    config = [whole, *({key: value for key, value in each.items() if key != "taken"} for each in reduced)]
    with LocalNats(config={"authorization": {"users": config}}) as server:
        for each in reduced:
            verb, taken = each["taken"]
            act = ACTS[verb](example(taken))
            assert await refusals(server, user, "pw", act) == [], f"{verb} {taken} is granted"
            heard = await refusals(server, each["user"], "pw", act)
            assert len(heard) == 1, f"{verb} {taken} was taken away"
            assert "permissions violation" in heard[0]


@pytest.mark.parametrize(
    ("user", "verb", "subject"),
    [
        ("listener", "publish", "tidegate.rollout.requested.prod.web"),
        ("listener", "publish", "tidegate.rollout.command.abort.prod.web"),
        ("listener", "publish", "tidegate.ask.rollout.requested.prod.web"),
        ("listener", "publish", "$JS.API.STREAM.DELETE.TIDEGATE_OUTCOMES"),
        ("listener", "publish", "$JS.API.CONSUMER.CREATE.TIDEGATE_REQUESTS.mine"),
        ("listener", "publish", "$JS.API.CONSUMER.CREATE.TIDEGATE_OUTCOMES.notifier-events.tidegate.>"),
        ("listener", "publish", "$JS.API.CONSUMER.DELETE.TIDEGATE_OUTCOMES.notifier-events"),
        ("listener", "publish", "$JS.API.CONSUMER.MSG.NEXT.TIDEGATE_OUTCOMES.notifier-outcomes-webhook"),
        ("listener", "subscribe", "tidegate.rollout.requested.*.*"),
        ("listener", "subscribe", "tidegate.>"),
        ("listener", "subscribe", "tidegate.metric.requested.>"),
        ("plugin", "publish", "tidegate.rollout.command.promote.prod.web"),
        ("plugin", "publish", "tidegate.step.requested.acme.approval.prod.web"),
        ("plugin", "publish", "tidegate.traffic.applied.prod.web"),
        ("plugin", "publish", "$JS.API.CONSUMER.CREATE.TIDEGATE_PLUGINS.mine"),
        ("plugin", "subscribe", "tidegate.step.answered.>"),
        ("plugin", "subscribe", "tidegate.>"),
        ("listener", "subscribe", "_INBOX.>"),
        ("listener", "subscribe", "_INBOX.sender.>"),
        ("sender", "publish", "tidegate.rollout.completed.prod.web"),
        ("sender", "publish", "tidegate.traffic.requested.prod.web"),
        ("sender", "publish", "$JS.API.CONSUMER.CREATE.TIDEGATE_REQUESTS"),
        ("sender", "publish", "$JS.API.CONSUMER.CREATE.TIDEGATE_OUTCOMES.notifier-outcomes-webhook"),
        ("sender", "subscribe", "tidegate.rollout.requested.*.*"),
        ("notifier", "publish", "tidegate.rollout.command.abort.prod.web"),
        ("notifier", "publish", "tidegate.rollout.completed.prod.web"),
        ("notifier", "publish", "$JS.API.STREAM.MSG.GET.TIDEGATE_REQUESTS"),
        ("traffic-shifter", "publish", "tidegate.traffic.requested.prod.web"),
        ("traffic-shifter", "publish", "tidegate.recorded.planner.prod.web"),
        ("traffic-shifter", "publish", "_INBOX.sender.x"),
        ("analyzer", "publish", "tidegate.analysis.requested.prod.run"),
        ("analyzer", "publish", "$JS.API.STREAM.DELETE.TIDEGATE_REQUESTS"),
        ("planner", "publish", "tidegate.traffic.applied.prod.web"),
        ("planner", "publish", "tidegate.analysis.concluded.prod.run"),
        ("planner", "subscribe", "_INBOX.sender.>"),
    ],
)
async def test_nobody_speaks_or_hears_for_another_on_the_bus(
    nats: LocalNats, users: BusUsers, user: str, verb: str, subject: str
) -> None:
    heard = await refusals(nats, user, users.passwords[user], ACTS[verb](subject))
    assert len(heard) == 1
    assert "permissions violation" in heard[0]
