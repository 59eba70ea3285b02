"""The CLI's errands at the API server: read what the tree needs, carry out the patches of `verbs`. Nothing is decided here."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Protocol

from tidegate.errors import TidegateError
from tidegate.keys import INSTANCE_ID, POD_TEMPLATE_HASH
from tidegate.kube.client import Kube
from tidegate.kube.credentials import load
from tidegate.kube.errors import Forbidden, NotFound, PreconditionFailed, Unauthorized
from tidegate.kube.kinds import ANALYSIS_RUN, EXPERIMENT, JOB, POD, REPLICA_SET, ROLLOUT, Kind, Object
from tidegate.verbs import JsonPatch, MergePatch, Patch, Refused, workload_kind
from tidegate_cli.connection import Connection
from tidegate_cli.tree import NO_ROLLOUT, Seen

ATTEMPTS = 5  # as the peer's `set image`: each attempt reads anew what the patch is made from
FIRST_ANSWER_SECONDS = 60.0  # a refused connection or an unknown name ends it in two; this is for those who say nothing
NO_CRDS = "this cluster knows no Rollouts; install the CRDs with `tidegate crds | kubectl apply --server-side -f -`"


class Api(Protocol):
    """What is used of `Kube`; `MemoryKube` is another."""

    async def get(self, kind: Kind, namespace: str | None, name: str) -> Object: ...

    async def list(self, kind: Kind, namespace: str | None = None, labels: str | None = None) -> tuple[list[Object], str]: ...

    async def merge_patch(
        self, kind: Kind, namespace: str | None, name: str, patch: Object, *, subresource: str | None = None
    ) -> Object: ...

    async def json_patch(self, kind: Kind, namespace: str | None, name: str, operations: Sequence[Mapping[str, Any]]) -> Object: ...


@dataclass(frozen=True, slots=True)
class Place:
    """One namespace of one cluster; `instance_id` narrows lists to the rollouts of one installation."""

    api: Api
    namespace: str
    instance_id: str = ""

    async def rollout(self, name: str) -> Object:
        try:
            return await self.api.get(ROLLOUT, self.namespace, name)
        except NotFound as error:
            raise TidegateError(await self.why_not_found(ROLLOUT, name)) from error

    async def rollouts(self, *, everywhere: bool = False) -> list[Object]:
        labels = f"{INSTANCE_ID}={self.instance_id}" if self.instance_id else None
        return (await self.api.list(ROLLOUT, None if everywhere else self.namespace, labels))[0]

    async def seen(self, name: str) -> Seen:
        rollout = await self.rollout(name)
        replica_sets, pods, runs, experiments, workload = await asyncio.gather(
            self._list(REPLICA_SET, POD_TEMPLATE_HASH),
            self._list(POD, POD_TEMPLATE_HASH),
            self._list(ANALYSIS_RUN),
            self._list(EXPERIMENT),
            self.known_workload(rollout),
        )
        return Seen(
            rollout=rollout,
            replica_sets=replica_sets,
            pods=pods,
            analysis_runs=runs,
            experiments=experiments,
            jobs=await self._list(JOB) if runs else (),
            workload=workload,
        )

    async def experiments(self, *, everywhere: bool = False) -> list[Object]:
        labels = f"{INSTANCE_ID}={self.instance_id}" if self.instance_id else None
        return (await self.api.list(EXPERIMENT, None if everywhere else self.namespace, labels))[0]

    async def seen_experiment(self, name: str) -> tuple[Object, Seen]:
        """The experiment, and what may belong to it."""
        try:
            experiment = await self.api.get(EXPERIMENT, self.namespace, name)
        except NotFound as error:
            raise TidegateError(await self.why_not_found(EXPERIMENT, name)) from error
        replica_sets, pods, runs = await asyncio.gather(
            self._list(REPLICA_SET, POD_TEMPLATE_HASH), self._list(POD, POD_TEMPLATE_HASH), self._list(ANALYSIS_RUN)
        )
        jobs = await self._list(JOB) if runs else ()
        return experiment, Seen(rollout=NO_ROLLOUT, replica_sets=replica_sets, pods=pods, analysis_runs=runs, jobs=jobs)

    async def workload(self, rollout: Object) -> Object | None:
        """What spec.workloadRef names; None where the Rollout holds its template itself."""
        reference = rollout["spec"].get("workloadRef")
        return await self.api.get(workload_kind(rollout), self.namespace, reference["name"]) if reference else None

    async def known_workload(self, rollout: Object) -> Object | None:
        """For looking only: what cannot be found, or read, the Rollout's own status tells of."""
        try:
            return await self.workload(rollout)
        except (NotFound, Forbidden, Refused):
            return None

    async def replica_sets(self) -> list[Object]:
        return await self._list(REPLICA_SET, POD_TEMPLATE_HASH)

    async def why_not_found(self, kind: Kind, name: str) -> str:
        what = kind.kind.lower()
        try:
            found = await (self.rollouts() if kind is ROLLOUT else self._list(kind))
        except Forbidden:  # who may not see what there is, still hears what is not
            return f'{what} "{name}" not found in namespace "{self.namespace}"'
        return not_found(what, name, self.namespace, sorted(each["metadata"]["name"] for each in found))

    async def write(self, patches: Sequence[Patch]) -> None:
        for patch in patches:
            await self._write(patch)

    async def write_decided(self, read: Callable[[], Any], decide: Callable[[Any], Sequence[Patch]]) -> bool:
        """Read, decide, write; once more from the start when a test in the patch did not hold. False: nothing to write."""
        for attempt in range(1, ATTEMPTS + 1):
            patches = decide(await read())
            try:
                await self.write(patches)
            except PreconditionFailed:
                if attempt == ATTEMPTS:
                    raise
                continue
            return bool(patches)
        raise AssertionError("unreachable")

    async def _write(self, patch: Patch) -> None:
        match patch:
            case JsonPatch():
                await self.api.json_patch(patch.kind, self.namespace, patch.name, patch.operations)
            case MergePatch(subresource=None):
                await self.api.merge_patch(patch.kind, self.namespace, patch.name, dict(patch.body))
            case MergePatch():
                await self._write_subresource(patch)

    async def _write_subresource(self, patch: MergePatch) -> None:
        try:
            await self.api.merge_patch(patch.kind, self.namespace, patch.name, dict(patch.body), subresource=patch.subresource)
        except NotFound:
            await self.api.merge_patch(patch.kind, self.namespace, patch.name, dict(patch.body))

    async def _list(self, kind: Kind, labels: str | None = None) -> list[Object]:
        try:
            return (await self.api.list(kind, self.namespace, labels))[0]
        except NotFound:  # its CRD is not installed, so there are none
            return []

def not_found(what: str, name: str, namespace: str, known: Sequence[str]) -> str:
    """With the name that was probably meant first, which may be one of hundreds."""
    close = get_close_matches(name, known, n=1)
    guess = f'did you mean "{close[0]}"? ' if close else ""
    more = f", and {len(known) - 10} more" if len(known) > 10 else ""
    return f'{what} "{name}" not found in namespace "{namespace}"; {guess}there are: {", ".join(known[:10]) or "none"}{more}'


@asynccontextmanager
async def connected(connection: Connection, *, patience: float = FIRST_ANSWER_SECONDS) -> AsyncIterator[Place]:
    """A place at an API server that has answered once, within `patience` seconds: a wrong address is told, not waited for."""
    cluster = load(_kubeconfig(connection), context=connection.context)
    async with Kube(cluster, user_agent="tidegate-cli/0") as kube:
        try:
            async with asyncio.timeout(patience):
                await _greet(kube)
        except TimeoutError as error:
            text = f"the API server could not be reached: {cluster.server} did not answer within {patience:g} s"
            raise TidegateError(text) from error
        except Unauthorized as error:
            text = f"{cluster.server} does not accept the user of the kubeconfig's context ({error})"
            raise TidegateError(f"{text}; log in again, or choose another") from error
        yield Place(kube, connection.namespace or cluster.namespace, connection.instance_id)


async def _greet(kube: Kube) -> None:
    try:
        known = await kube.serves(ROLLOUT)
    except Forbidden:  # where discovery was taken away; what is asked next may be granted
        return
    if not known:
        raise TidegateError(NO_CRDS)


def _kubeconfig(connection: Connection) -> Path:
    if connection.kubeconfig is not None:
        return connection.kubeconfig
    usual = Path.home() / ".kube" / "config"
    if usual.exists():
        return usual
    raise TidegateError("no cluster to talk to: set KUBECONFIG or pass --kubeconfig; `tidegate up` starts one on this machine")
