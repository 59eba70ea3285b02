"""Each service under its own ServiceAccount and its own NATS user: what it is granted is what it uses, no more and no less.

One scenario is played with the real processes. It reaches every path that needs a right, the rare ones too (a ReplicaSet's name
that is taken, a stream to be migrated, a letter that nobody can read), for a right that nothing here uses fails the test. Who did
what is read from the API server's audit log and from the bus's trace. `test_refusals` takes each right away.
"""

import asyncio
import base64
import re
from collections.abc import Iterable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml
from nats.js import api
from nats.js.errors import NotFoundError

from tidegate.bus import (
    ANALYZER_ANSWERS,
    ANALYZER_REQUESTS,
    NOTIFIER_EVENTS,
    PLANNER_ANSWERS,
    PLANNER_REQUESTS,
    SHIFTER_ANSWERS,
    SHIFTER_REQUESTS,
    Bus,
    Consumer,
)
from tidegate.bus.rights import LISTENER, PLUGIN, ROLES, SENDER, Role, covers
from tidegate.bus.server import LocalNats
from tidegate.bus.topology import ensure_consumer, ensure_stream
from tidegate.config import Settings
from tidegate.hashing import pod_template_hash
from tidegate.keys import FAIL_FAST, REVISION
from tidegate.kube.client import Kube
from tidegate.kube.credentials import load
from tidegate.kube.errors import NotFound
from tidegate.kube.kinds import (
    ANALYSIS_RUN,
    ANALYSIS_TEMPLATE,
    DEPLOYMENT,
    EXPERIMENT,
    GRPC_ROUTE,
    HTTP_ROUTE,
    JOB,
    POD,
    POD_TEMPLATE,
    REPLICA_SET,
    SECRET,
    SERVICE,
    Kind,
)
from tidegate.messages import OUTCOMES
from tidegate.testing import (
    Endpoint,
    Outcomes,
    Scene,
    Suite,
    a_deployment,
    a_referring_rollout,
    a_rollout,
    a_service,
    degraded,
    eventually,
    healthy_on,
    patient_bus,
    paused_at,
)
from tidegate.testing.plugins import FILES, METRIC, ROUTER, STEP, PluginProcess
from tidegate_cli.local.identities import BusUsers, environments
from tidegate_cli.local.services import MODULES
from tidegate_embedded import ControlPlane
from tidegate_embedded.testing import create_namespace, whole_lines
from tidegate_notifier.composition import outcomes_of

pytestmark = pytest.mark.integration

RBAC = Path(__file__).parents[3] / "deploy" / "rbac"
DECLARED = {f"TIDEGATE_{kind}_PLUGINS": f"[{name}]" for kind, name in {"STEP": STEP, "ROUTER": ROUTER, "METRIC": METRIC}.items()}
BLUE, YELLOW, GREEN = "demo:blue", "demo:yellow", "demo:green"
GATEWAY = "gateway.networking.k8s.io"
ROUTES = {
    "http": HTTP_ROUTE,
    "grpc": GRPC_ROUTE,
    "tcp": Kind(GATEWAY, "v1", "tcproutes", "TCPRoute"),
    "tls": Kind(GATEWAY, "v1alpha2", "tlsroutes", "TLSRoute"),
}
LINKERD = Kind("policy.linkerd.io", "v1beta3", "httproutes", "HTTPRoute")
EDGE = Kind(GATEWAY, "v1", "gateways", "Gateway")
EDGE_CLASS = Kind(GATEWAY, "v1", "gatewayclasses", "GatewayClass", namespaced=False)
CONSUMERS: dict[str, tuple[Consumer, ...]] = {
    "planner": (PLANNER_REQUESTS,),
    "traffic-shifter": (SHIFTER_REQUESTS,),
    "analyzer": (ANALYZER_REQUESTS,),
    "notifier": (NOTIFIER_EVENTS, outcomes_of("webhook")),
}
ADMISSION_ONLY = {("argoproj.io", f"{owners}/finalizers", "update") for owners in ("rollouts", "experiments", "analysisruns")}
"""Asked for by an admission plugin when a child is created, so never a request of its own; `test_refusals` needs them."""

Right = tuple[str, str, str]
"""API group, resource (with its subresource), verb."""

TRACED = re.compile(r'"\$G/user:(?P<user>[\w-]+)" - <<- \[(?P<verb>H?PUB|SUB) (?P<subject>\S+)')


# --- what was seen -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Record:
    """Taken when the scenario was over: what other tests do later is not in it."""

    audit: bytes
    trace: str

    def on_cluster(self, service: str) -> set[Right]:
        name = f"system:serviceaccount:tidegate-system:tidegate-{service}"
        lines = (orjson.loads(line) for line in self.audit.splitlines())
        about = (line for line in lines if line["user"]["username"] == name and "objectRef" in line)
        return {(each["objectRef"].get("apiGroup", ""), resource(each["objectRef"]), each["verb"]) for each in about}

    def on_bus(self, user: str) -> tuple[set[str], set[str]]:
        """Subjects published to, and subscribed to."""
        found = [match for match in TRACED.finditer(self.trace) if match["user"] == user]
        published = {match["subject"] for match in found if match["verb"] != "SUB"}
        return published, {match["subject"] for match in found if match["verb"] == "SUB"}

    def violations(self) -> list[str]:
        return [line for line in self.trace.splitlines() if " Violation - Subject " in line]


def resource(reference: dict[str, str]) -> str:
    subresource = reference.get("subresource")
    return f"{reference['resource']}/{subresource}" if subresource else reference["resource"]


def base_files(service: str) -> list[Path]:
    """Of the routers only the base's; `tests/unit/deploy/test_router_rights.py` does the same for the others."""
    routers = [RBAC / "routers" / "gateway-api" / "role.yaml"] if service == "traffic-shifter" else []
    return [RBAC / f"{service}.yaml", *routers]


def granted(service: str) -> set[Right]:
    documents = [each for file in base_files(service) for each in yaml.safe_load_all(file.read_text())]
    rules = [rule for each in documents if each["kind"] == "ClusterRole" for rule in each["rules"]]
    return {
        (group, each, verb) for rule in rules for group in rule["apiGroups"] for each in rule["resources"] for verb in rule["verbs"]
    }


def idle(permissions: Iterable[str], used: Iterable[str]) -> list[str]:
    """Permissions without which all the same would have been possible."""
    everything = tuple(permissions)
    without = {each: [other for other in everything if other != each] for each in everything}
    needed = {each for subject in used for each, others in without.items() if not admitted(subject, others)}
    return sorted(set(everything) - needed)


def admitted(subject: str, permissions: Iterable[str]) -> bool:
    return any(covers(each, subject) for each in permissions)


# --- the scenario ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def record(
    control_plane: ControlPlane,
    nats: LocalNats,
    users: BusUsers,
    accounts: dict[str, Path],
    endpoint: Endpoint,
    tmp_path_factory: pytest.TempPathFactory,
) -> Record:
    began = len(whole_lines(control_plane.audit_log))
    asyncio.run(migrate(nats, users))
    settings = {
        "NATS_URL": nats.url,
        "TIDEGATE_WEBHOOK_URL": f"{endpoint.url}/hook",
        "TIDEGATE_WEBHOOK_SECRET": "whsec_c2VjcmV0LW9mLXRoZS1yaWdodHMtdGVzdHM=",
        **DECLARED,
    }
    folder = tmp_path_factory.mktemp("logs")
    with Suite(MODULES, settings=settings, own=environments(accounts, users), folder=folder) as suite:
        asyncio.run(play(control_plane, nats, users, endpoint, folder))
        assert suite.ended() == []
    return Record(audit=whole_lines(control_plane.audit_log)[began:], trace=nats.log.read_text(errors="replace"))


def as_user(user: str, users: BusUsers, nats: LocalNats) -> Settings:
    return Settings(nats_url=nats.url, nats_user=user, nats_password=users.passwords[user])


async def migrate(nats: LocalNats, users: BusUsers) -> None:
    """Streams and consumers as another version left them, set right by each service as its own user."""
    for service, consumers in CONSUMERS.items():
        async with (
            patient_bus(Settings(nats_url=nats.url), service="test", streams=()) as anyone,
            patient_bus(as_user(service, users, nats), service=service, streams=()) as own,
        ):
            for stream in ROLES[service].streams:
                left = api.StreamConfig(name=stream.name, subjects=list(stream.subjects), description="changeable")
                await leave(anyone, left)
                await ensure_stream(own.js, stream)
                retention = api.RetentionPolicy.LIMITS if stream.retention == "workqueue" else api.RetentionPolicy.WORK_QUEUE
                await leave(anyone, left.evolve(description="not changeable", retention=retention))
                await ensure_stream(own.js, stream)
                assert (await anyone.js.stream_info(stream.name)).config.description == stream.description
            for consumer in consumers:
                stream = next(each for each in ROLES[service].streams if each.name == consumer.stream)
                await leave(anyone, api.StreamConfig(name=stream.name, subjects=list(stream.subjects)))
                await anyone.js.add_consumer(stream.name, name=consumer.name, durable_name=consumer.name, ack_policy="none")
                await ensure_consumer(own.js, consumer)
                assert (await anyone.js.consumer_info(stream.name, consumer.name)).config.ack_policy == "explicit"
                await anyone.js.delete_stream(stream.name)


async def leave(bus: Bus, stream: api.StreamConfig) -> None:
    with suppress(NotFoundError):
        await bus.js.delete_stream(str(stream.name))
    await bus.js.add_stream(stream)


async def play(control_plane: ControlPlane, nats: LocalNats, users: BusUsers, endpoint: Endpoint, folder: Path) -> None:
    with ExitStack() as stack:
        for name in FILES:
            stack.enter_context(PluginProcess(name, users.url(nats.url, PLUGIN.user)))
        await played(control_plane, nats, users, endpoint, folder)


async def played(control_plane: ControlPlane, nats: LocalNats, users: BusUsers, endpoint: Endpoint, folder: Path) -> None:
    async with (
        Kube(load(control_plane.kubeconfig), user_agent="kubectl") as kube,
        patient_bus(as_user("sender", users, nats), service="sender", streams=()) as sender,
        patient_bus(as_user("listener", users, nats), service="listener", streams=()) as listener,
        patient_bus(Settings(nats_url=nats.url), service="test", streams=()) as anyone,
    ):
        namespace = create_namespace(control_plane, "rights")
        scene = Scene(kube=kube, bus=sender, namespace=namespace, outcomes=Outcomes())
        heard = [await hear(bus, role) for bus, role in ((sender, SENDER), (listener, LISTENER))]
        await asyncio.gather(
            routed(scene, endpoint),
            interrupted(scene),
            taken_name(scene),
            referring(scene),
            restarted(scene),
            expired(scene),
            unreadable(scene, anyone),
            hopeless(scene),
            experimented(scene),
            refused(scene),
            plugged(scene, endpoint, folder),
        )
        for topics, feed in heard:
            await eventually(_seen(topics), lambda seen: "completed" in seen, what="a topic that was subscribed to")
            await eventually(_seen(feed), lambda seen: "completed" in seen, what="the feed of outcomes")


def _seen(verbs: list[str]) -> Any:
    async def look() -> list[str]:
        return verbs

    return look


async def hear(bus: Bus, role: Role) -> tuple[list[str], list[str]]:
    """As people and tools hear outcomes: by plain NATS, and from the stream through consumers of two kinds."""
    topics: list[str] = []
    feed: list[str] = []

    async def note(msg: Any) -> None:
        topics.append(msg.subject.split(".")[2])

    for subject in role.hears:
        await bus.client.subscribe(subject, cb=note)
    for beginning in ("last", "new"):
        bus.feed(OUTCOMES, "tidegate.rollout.>", lambda message, _: feed.append(message.verb), beginning=beginning)
    for stream in role.replays:
        await bus.js.add_consumer(stream, api.ConsumerConfig(name=f"{role.user}-tool", ack_policy=api.AckPolicy.NONE))
    return topics, feed


async def routed(scene: Scene, endpoint: Endpoint) -> None:
    """From a manifest on the bus to the second revision: Services, every kind of route, a Secret, a web metric and a Job."""
    await scene.apply(a_service("web-stable", app="web"), a_service("web-canary", app="web"))
    await scene.kube.create(EDGE_CLASS, {"metadata": {"name": scene.namespace}, "spec": {"controllerName": "example.net/edge"}})
    listeners = [{"name": "web", "protocol": "HTTP", "port": 80}]
    await scene.kube.create(EDGE, of(scene, "edge", spec={"gatewayClassName": scene.namespace, "listeners": listeners}))
    for family, kind in ROUTES.items():
        await scene.kube.create(kind, a_route(family, scene.namespace))
    await scene.kube.create(LINKERD, a_route("linkerd", scene.namespace))
    await scene.kube.create(SECRET, of(scene, "token", data={"value": base64.b64encode(b"open").decode()}))
    await scene.kube.create(ANALYSIS_TEMPLATE, of(scene, "rate", spec=rate_and_job(endpoint.url)))
    plugin = {family + "Route": f"{family}-route" for family in ROUTES} | {
        family + "RouteSelector": {"matchLabels": {"by": "label"}} for family in ROUTES
    }
    plugin["httpRoutes"] = [{"name": "linkerd-route"}]
    shadow = {"name": "shadow", "match": [{"path": {"prefix": "/"}}]}
    analysis = {"templates": [{"templateName": "rate"}]}
    steps = ({"setWeight": 34}, {"setMirrorRoute": shadow}, {"analysis": analysis}, {"pause": {}})
    canary = {
        "stableService": "web-stable",
        "canaryService": "web-canary",
        "scaleDownDelaySeconds": 1,
        "trafficRouting": {
            "plugins": {"argoproj-labs/gatewayAPI": {**plugin, "namespace": scene.namespace}},
            "managedRoutes": [{"name": "shadow"}],
        },
    }
    manifest = a_rollout("web", steps=steps, canary=canary, revisionHistoryLimit=0)
    assert (await scene.request("web", manifest=manifest)).accepted
    await scene.until("web", healthy_on(BLUE))
    assert (await scene.request_image("web", YELLOW)).accepted
    await scene.until("web", paused_at(3, image=YELLOW))
    assert (await scene.command("web", "promote")).accepted
    await scene.until("web", healthy_on(YELLOW))
    await eventually(lambda: scene.replica_sets("web"), lambda seen: len(seen) == 1, what="the old ReplicaSet to be deleted")
    wanted = {"RolloutCompleted", "SwitchService"}
    await eventually(lambda: scene.events("web"), lambda seen: wanted <= dict(seen).keys(), what="Events")
    for rest, body in (("requested", {"images": {"app": YELLOW}}), ("command.promote", {})):
        subject = f"tidegate.ask.rollout.{rest}.{scene.namespace}.web"
        answer = await scene.bus.client.request(subject, orjson.dumps(body), timeout=300)
        assert orjson.loads(answer.data)["accepted"] is True


def of(scene: Scene, name: str, **fields: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": scene.namespace}, **fields}


def a_route(family: str, namespace: str) -> dict[str, Any]:
    backends = [{"name": "web-stable", "port": 80, "weight": 100}, {"name": "web-canary", "port": 80, "weight": 0}]
    metadata = {"name": f"{family}-route", "namespace": namespace, "labels": {"by": "label"}}
    return {"metadata": metadata, "spec": {"parentRefs": [{"name": "edge"}], "rules": [{"backendRefs": backends}]}}


def rate_and_job(url: str) -> dict[str, Any]:
    headers = [{"key": "Authorization", "value": "{{args.token}}"}]
    web = {"web": {"url": f"{url}/rate", "headers": headers, "jsonPath": "{$.rate}"}}
    return {
        "args": [{"name": "token", "valueFrom": {"secretKeyRef": {"name": "token", "key": "value"}}}],
        "metrics": [{"name": "rate", "successCondition": "result > 0.9", "provider": web}, a_job_metric("sleep 3 && exit 0")],
    }


def a_job_metric(command: str) -> dict[str, Any]:
    container = {"name": "job", "image": "job:1", "command": ["sh", "-c", command]}
    pod = {"restartPolicy": "Never", "containers": [container]}
    return {"name": "job", "provider": {"job": {"spec": {"backoffLimit": 0, "template": {"spec": pod}}}}}


async def interrupted(scene: Scene) -> None:
    """A person aborts while a Job measures: the run is ended and its Job deleted."""
    await scene.kube.create(ANALYSIS_TEMPLATE, of(scene, "slow", spec={"metrics": [a_job_metric("sleep 600 && exit 0")]}))
    steps = ({"setWeight": 34}, {"analysis": {"templates": [{"templateName": "slow"}]}})
    await scene.apply(a_rollout("cut", steps=steps))
    await scene.until("cut", healthy_on(BLUE))
    await scene.set_image("cut", YELLOW)

    async def jobs() -> list[Any]:
        found, _ = await scene.kube.list(JOB, scene.namespace)
        return [each for each in found if "sleep 600" in str(each["spec"])]

    await eventually(jobs, lambda seen: len(seen) == 1, what="the slow Job")
    assert (await scene.command("cut", "abort")).accepted
    await eventually(jobs, lambda seen: not seen, what="the slow Job to be deleted")


async def taken_name(scene: Scene) -> None:
    """Somebody else's ReplicaSet has the name that the rollout's own should get."""
    manifest = a_rollout("twin")
    name = f"twin-{pod_template_hash(manifest['spec']['template'])}"
    labels = {"app": "somebody-else"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "app", "image": BLUE}]}}
    foreign = of(scene, name, spec={"replicas": 0, "selector": {"matchLabels": labels}, "template": template})
    await scene.kube.create(REPLICA_SET, foreign)
    await scene.apply(manifest)
    await scene.until("twin", healthy_on(BLUE))
    assert [each["metadata"]["name"] for each in await scene.replica_sets("twin")] != [name]


async def referring(scene: Scene) -> None:
    """Pods described by a Deployment, which gives way, and by a PodTemplate; the images of both are changed over the bus."""
    pods = a_rollout("stencil")["spec"]["template"]
    await scene.kube.create(POD_TEMPLATE, of(scene, "stencil", template=pods))
    reference = {"apiVersion": "v1", "kind": "PodTemplate", "name": "stencil"}
    stencil = a_referring_rollout("stencil", workloadRef=reference, selector={"matchLabels": {"app": "stencil"}})
    await scene.apply(a_deployment("moved"), a_referring_rollout("moved", scale_down="progressively"), stencil)
    for name in ("moved", "stencil"):
        await scene.until(name, healthy_in_revision(1))
        assert (await scene.request_image(name, YELLOW)).accepted
        await scene.until(name, healthy_in_revision(2))

    async def pods_left() -> int:
        return int((await scene.kube.get(DEPLOYMENT, scene.namespace, "moved"))["spec"]["replicas"])

    await eventually(pods_left, lambda count: count == 0, what="the Deployment to give way")


async def restarted(scene: Scene) -> None:
    """Pods that are evicted, and pods that get another label while they run."""
    metadata = {"canaryMetadata": {"labels": {"role": "canary"}}, "stableMetadata": {"labels": {"role": "stable"}}}
    await scene.apply(a_rollout("worn", replicas=2, canary=metadata))
    await scene.until("worn", healthy_on(BLUE))
    await scene.set_image("worn", YELLOW)
    await scene.until("worn", healthy_on(YELLOW))

    async def roles() -> set[Any]:
        pods, _ = await scene.kube.list(POD, scene.namespace, "app=worn")
        return {each["metadata"]["labels"].get("role") for each in pods}

    await eventually(roles, lambda seen: seen == {"stable"}, what="all pods to be known as stable")
    await asyncio.sleep(1.1)  # to a second in which none of the pods was made: they would not be older than the restart
    assert (await scene.command("worn", "restart")).accepted
    asked = (await scene.rollout("worn"))["spec"]["restartAt"]
    await scene.until("worn", lambda rollout: rollout["status"].get("restartedAt") == asked, what="all pods restarted")


def healthy_in_revision(number: int) -> Any:
    def holds(rollout: Any) -> bool:
        revision = (rollout["metadata"].get("annotations") or {}).get(REVISION)
        return revision == str(number) and (rollout.get("status") or {}).get("phase") == "Healthy"

    holds.__name__ = f"Healthy in revision {number}"
    return holds


async def hopeless(scene: Scene) -> None:
    """Its owner does not want to wait for pods that crash: they are looked at."""
    await scene.apply(a_rollout("hasty", replicas=1, annotations={FAIL_FAST: "1"}, steps=({"setWeight": 100},)))
    await scene.until("hasty", healthy_on(BLUE))
    await scene.set_image("hasty", "demo:crash")
    await scene.until("hasty", degraded("CrashLoopBackOff"))


async def experimented(scene: Scene) -> None:
    """An experiment with a Service, under its second name: somebody else's has the first. Nothing of it is left but the record."""
    template = {"name": "trial", "specRef": "canary", "service": {}}
    experiment = {"templates": [template], "duration": "1s", "scaleDownDelaySeconds": 0}
    manifest = a_rollout("lab", steps=({"experiment": experiment},))
    manifest["spec"]["template"]["spec"]["containers"][0]["ports"] = [{"containerPort": 8080}]
    await scene.apply(manifest)
    await scene.until("lab", healthy_on(BLUE))
    manifest["spec"]["template"]["spec"]["containers"][0]["image"] = YELLOW
    name = f"lab-{pod_template_hash(manifest['spec']['template'])}-2-0"
    await scene.kube.create(EXPERIMENT, of(scene, name, spec={"templates": []}))
    await scene.set_image("lab", YELLOW)
    await scene.until("lab", healthy_on(YELLOW))
    assert (await scene.kube.get(EXPERIMENT, scene.namespace, f"{name}-1"))["status"]["phase"] == "Successful"

    async def services() -> list[str]:
        found, _ = await scene.kube.list(SERVICE, scene.namespace)
        return [each["metadata"]["name"] for each in found if each["metadata"]["name"].startswith("lab")]

    await eventually(services, lambda seen: not seen, what="the experiment's Service to be deleted")
    await scene.patch("lab", {"spec": {"analysis": {"successfulRunHistoryLimit": 0}}})

    async def experiments() -> list[str]:
        found, _ = await scene.kube.list(EXPERIMENT, scene.namespace)
        return [each["metadata"]["name"] for each in found]

    await eventually(experiments, lambda seen: f"{name}-1" not in seen, what="the experiment to be deleted")
    assert name in await experiments()


async def refused(scene: Scene) -> None:
    """Somebody else's Service has the name that an experiment made by hand asks for."""
    labels = {"app": "hopeless"}
    container = {"name": "app", "image": BLUE, "ports": [{"containerPort": 8080}]}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    await scene.apply(a_service("theirs", app="somebody-else"))
    templates = [{"name": "one", "selector": {"matchLabels": labels}, "template": template, "service": {"name": "theirs"}}]
    await scene.kube.create(EXPERIMENT, of(scene, "hopeless", spec={"templates": templates}))

    async def phase() -> str:
        found = await scene.kube.get(EXPERIMENT, scene.namespace, "hopeless")
        return str((found.get("status") or {}).get("phase"))

    await eventually(phase, lambda seen: seen == "Error", what="the experiment to end with an Error")


async def expired(scene: Scene) -> None:
    """A run made by hand is deleted when its time is over."""
    spec = {"ttlStrategy": {"secondsAfterCompletion": 1}, "metrics": [a_job_metric("sleep 0 && exit 0")]}
    await scene.kube.create(ANALYSIS_RUN, of(scene, "by-hand", spec=spec))

    async def is_gone() -> bool:
        try:
            await scene.kube.get(ANALYSIS_RUN, scene.namespace, "by-hand")
        except NotFound:
            return True
        return False

    await eventually(is_gone, bool, what="the finished run to be deleted")


async def plugged(scene: Scene, endpoint: Endpoint, folder: Path) -> None:
    """A router, a step and a metric that are processes of somebody's own."""
    metric = {"name": "load", "successCondition": "result.load >= 0", "provider": {"plugin": {METRIC: {}}}}
    await scene.kube.create(ANALYSIS_TEMPLATE, of(scene, "load", spec={"metrics": [metric]}))
    check = {"plugin": {"name": STEP, "config": {"url": f"{endpoint.url}/rate"}}}
    steps = ({"setWeight": 50}, check, {"analysis": {"templates": [{"templateName": "load"}]}})
    routing = {"trafficRouting": {"plugins": {ROUTER: {"folder": str(folder)}}}, "scaleDownDelaySeconds": 1}
    await scene.apply(a_rollout("plugged", steps=steps, canary=routing))
    await scene.until("plugged", healthy_on(BLUE))
    await scene.set_image("plugged", YELLOW)
    await scene.until("plugged", healthy_on(YELLOW))


async def unreadable(scene: Scene, anyone: Bus) -> None:
    """Each consumer puts aside what nobody can read."""
    place = f"{scene.namespace}.nobody"
    for subject in (
        f"tidegate.rollout.command.promote.{place}",
        f"tidegate.traffic.requested.{place}",
        f"tidegate.analysis.requested.{place}",
        f"tidegate.recorded.planner.{place}",
        f"tidegate.rollout.started.{place}",
    ):
        await anyone.js.publish(subject, b"not JSON")
    consumers = {consumer.name for each in CONSUMERS.values() for consumer in each}
    consumers |= {PLANNER_ANSWERS, SHIFTER_ANSWERS, ANALYZER_ANSWERS}

    async def letters() -> set[str]:
        """What plugins answer is said with each look: who asks hears what is said from when its feed is made, a moment after its
        start."""
        for kind in ("step", "router", "metric"):
            await anyone.js.publish(f"tidegate.{kind}.answered.acme/garbled.call.{place}", b"not JSON")
        info = await anyone.js.stream_info("TIDEGATE_DEAD", subjects_filter=">")
        return {subject.removeprefix("tidegate.dead.") for subject in info.state.subjects or ()}

    await eventually(letters, lambda seen: consumers <= seen, what="a dead letter of each consumer")


# --- the promises ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("service", CONSUMERS)
def test_a_service_is_granted_on_the_cluster_what_it_uses_and_nothing_else(record: Record, service: str) -> None:
    used, may = record.on_cluster(service), granted(service) - ADMISSION_ONLY
    assert used - may == set(), "used, and refused: grant it in deploy/rbac"
    assert may - used == set(), "granted, and never used: take it out of deploy/rbac, or play the path that needs it"


@pytest.mark.parametrize("user", ROLES)
def test_a_user_is_granted_on_the_bus_what_it_uses_and_nothing_else(record: Record, user: str) -> None:
    published, subscribed = record.on_bus(user)
    role = ROLES[user]
    assert [subject for subject in published if not admitted(subject, role.publish)] == []
    assert [subject for subject in published if admitted(subject, role.publish_never)] == []
    assert [subject for subject in subscribed if not admitted(subject, role.subscribe)] == []
    assert idle(role.publish, published) == [], "granted and never used, or covered by another permission"
    assert idle(role.subscribe, subscribed) == []


def test_nobody_was_refused_anything_on_the_bus(record: Record) -> None:
    assert record.violations() == []
