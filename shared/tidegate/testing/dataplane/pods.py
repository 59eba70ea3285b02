"""The processes behind pods: for each pod that says so, an HTTP server on its very address, which answers with the pod's revision.

`python -m tidegate.testing.dataplane.pods` runs inside a `Network` and is told of pods by the API server, as a kubelet is. It also
has a kubelet's two words: a pod becomes Ready once its server listens, and its server is there until the pod's object is gone.
"""

import asyncio
import json
import logging
import os
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from tidegate.errors import KubeError
from tidegate.keys import POD_TEMPLATE_HASH
from tidegate.kube.cache import Cache
from tidegate.kube.client import Kube
from tidegate.kube.credentials import load
from tidegate.kube.errors import Conflict, NotFound
from tidegate.kube.kinds import POD, Object
from tidegate.kube.store import ChangeType

SERVED: Final = "tidegate.test/served"
"""The label of pods that have a process."""
PORT: Final = 8080
log = logging.getLogger(__name__)

READY: Final = ("Ready", "ContainersReady")


def with_a_process(rollout: Object, *, lasts: int = 5) -> Object:
    """A Rollout whose pods are processes. They serve for `lasts` seconds after their deletion, as preStop hooks are for."""
    template = rollout["spec"]["template"]
    container = template["spec"]["containers"][0]
    container = {
        **container,
        "ports": [{"name": "http", "containerPort": PORT}],
        "lifecycle": {"preStop": {"sleep": {"seconds": lasts}}},
    }
    # kwok must not call the pod Ready before its server is there; we do (deploy/embedded/stages/pod-run.yaml).
    metadata = {
        "labels": {**template["metadata"]["labels"], SERVED: "true"},
        "annotations": {"embedded.tidegate/ready-delay": "86400"},
    }
    spec = {**template["spec"], "containers": [container], "terminationGracePeriodSeconds": lasts + 25}
    return {**rollout, "spec": {**rollout["spec"], "template": {"metadata": metadata, "spec": spec}}}


class Server(asyncio.Protocol):
    """As much of HTTP/1.1 as a router speaks to a pod it sends GETs to, over connections that stay."""

    def __init__(self, pod: "Pod") -> None:
        self._pod = pod
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._pod.connections.add(transport)

    def connection_lost(self, _error: Exception | None) -> None:
        self._pod.connections.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        *requests, self._received = (self._received + data).split(b"\r\n\r\n")
        for _ in requests:
            self._transport.write(self._pod.answer())


class Pod:
    """One pod's server. Its answer says as well how many it gave, and whether the pod was asked to go."""

    def __init__(self) -> None:
        self.connections: set[asyncio.Transport] = set()
        self._says: dict[str, Any] = {}
        self._served = 0
        self._server: asyncio.Server | None = None

    def look_at(self, pod: Object) -> None:
        metadata = pod["metadata"]
        revision = metadata["labels"].get(POD_TEMPLATE_HASH)
        self._says = {"hash": revision, "pod": metadata["name"], "going": "deletionTimestamp" in metadata}

    def answer(self) -> bytes:
        self._served += 1
        body = json.dumps({**self._says, "served": self._served}).encode()
        return f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body

    async def listen(self, address: str) -> None:
        if self._server is None:
            self._server = await asyncio.get_running_loop().create_server(lambda: Server(self), address, PORT, backlog=512)

    @property
    def serves(self) -> bool:
        return self._server is not None

    @property
    def going(self) -> bool:
        return bool(self._says["going"])

    def close(self) -> None:
        if self._server is not None:
            self._server.close()
        for each in list(self.connections):
            each.close()


class Kubelet:
    def __init__(self, kube: Kube) -> None:
        self._kube = kube
        self._cache = Cache(kube, POD, labels=f"{SERVED}=true")
        self._cache.on_change(self._note)
        self._changed: asyncio.Queue[tuple[Object | None, Object]] = asyncio.Queue()
        self._pods: dict[str, Pod] = {}

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._cache.run())
            group.create_task(self._serve(group))

    def _note(self, _type: ChangeType, old: Object | None, new: Object | None) -> None:
        seen = new or old
        assert seen is not None
        self._changed.put_nowait((new, seen))

    async def _serve(self, group: asyncio.TaskGroup) -> None:
        while True:
            there, seen = await self._changed.get()
            uid, address = seen["metadata"]["uid"], (seen.get("status") or {}).get("podIP")
            if there is None:
                if pod := self._pods.pop(uid, None):
                    pod.close()
            elif pod := self._pods.get(uid):
                pod.look_at(there)
                if pod.serves and not pod.going and not is_ready(there):  # kwok has repeated itself
                    group.create_task(self._start(pod, uid, there))
            elif address:
                pod = self._pods[uid] = Pod()
                pod.look_at(there)
                group.create_task(self._start(pod, uid, there))

    async def _start(self, pod: Pod, uid: str, there: Object) -> None:
        """What stands in the way of one pod is said and tried again: it must not end those of everybody else."""
        namespace, name = there["metadata"]["namespace"], there["metadata"]["name"]
        while self._pods.get(uid) is pod:
            try:
                await pod.listen(there["status"]["podIP"])
                await self._say_ready(namespace, name)
            except (OSError, KubeError) as error:
                log.warning("%s/%s: %s %s", namespace, name, type(error).__name__, error)
                await asyncio.sleep(0.5)
            else:
                break
        if self._pods.get(uid) is not pod:  # it went while its server came
            pod.close()

    async def _say_ready(self, namespace: str, name: str) -> None:
        """The status as kwok left it, but Ready; decided again if kwok was faster."""
        with suppress(NotFound):
            while True:
                pod = await self._kube.get(POD, namespace, name)
                version, status = pod["metadata"]["resourceVersion"], {"status": ready(pod["status"])}
                with suppress(Conflict):
                    await self._kube.merge_patch(POD, namespace, name, status, subresource="status", resource_version=version)
                    return


def is_ready(pod: Object) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def ready(status: Object) -> dict[str, Any]:
    conditions = [each for each in status.get("conditions") or () if each["type"] != "embedded.tidegate/next"]
    conditions = [{**each, "status": "True", "reason": "", "message": ""} if each["type"] in READY else each for each in conditions]
    return {
        "conditions": conditions,
        "containerStatuses": [{**each, "ready": True} for each in status.get("containerStatuses") or ()],
    }


async def run(kubeconfig: Path) -> None:
    async with Kube(load(kubeconfig), user_agent="kubelet") as kube:
        await Kubelet(kube).run()


if __name__ == "__main__":
    asyncio.run(run(Path(os.environ["KUBECONFIG"])))
