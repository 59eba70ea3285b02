"""`AnalysisRequested` from the bus: create a run if it is absent, ask it to end, delete it. What is asked twice is done once."""

from typing import Any, Final

import structlog

from tidegate import keys
from tidegate.bus import Envelope
from tidegate.errors import GiveUp, KubeError, Retry
from tidegate.kube.errors import AlreadyExists, Conflict, Forbidden, Invalid, NotFound
from tidegate.kube.kinds import ANALYSIS_RUN
from tidegate.messages import AnalysisRequested
from tidegate_analyzer.api import Api
from tidegate_analyzer.rounds import is_finished

ENDING_NAMESPACE: Final = "NamespaceTerminating"

log = structlog.get_logger(__name__)


class Requests:
    """The handler. `namespace` None serves all."""

    def __init__(self, *, kube: Api, namespace: str | None) -> None:
        self._kube = kube
        self._namespace = namespace

    async def handle(self, request: AnalysisRequested, _envelope: Envelope) -> None:
        if self._namespace not in (None, request.namespace):
            log.info("request.not_ours", run=f"{request.namespace}/{request.name}", namespace=self._namespace)
            return
        try:
            if request.manifest is not None:
                await self._create(request, _checked(request))
            if request.terminate:
                await self._terminate(request)
            if request.delete is not None:
                await self._delete(request, request.delete)
        except Invalid as error:
            raise GiveUp(f"AnalysisRun {request.namespace}/{request.name} was refused: {error}") from error
        except KubeError as error:
            raise Retry(f"AnalysisRun {request.namespace}/{request.name}: {error}") from error

    async def _create(self, request: AnalysisRequested, manifest: dict[str, Any]) -> None:
        try:
            await self._kube.create(ANALYSIS_RUN, manifest)
        except AlreadyExists:
            return
        except NotFound:
            log.info("request.namespace_gone", run=f"{request.namespace}/{request.name}")
        except Forbidden as error:
            if ENDING_NAMESPACE not in str(error) and "being terminated" not in str(error):
                raise
            log.info("request.namespace_ends", run=f"{request.namespace}/{request.name}")

    async def _terminate(self, request: AnalysisRequested) -> None:
        try:
            run = await self._kube.get(ANALYSIS_RUN, request.namespace, request.name)
            if not is_finished(run) and not run["spec"].get("terminate"):
                await self._kube.merge_patch(ANALYSIS_RUN, request.namespace, request.name, {"spec": {"terminate": True}})
        except NotFound:
            log.info("request.nothing_to_end", run=f"{request.namespace}/{request.name}")

    async def _delete(self, request: AnalysisRequested, uid: str) -> None:
        """Only the very run that was meant, and only once it has nothing more to say."""
        try:
            run = await self._kube.get(ANALYSIS_RUN, request.namespace, request.name)
            if run["metadata"]["uid"] == uid and is_finished(run):
                await self._kube.delete(ANALYSIS_RUN, request.namespace, request.name, uid=uid)
        except (NotFound, Conflict):
            log.info("request.nothing_to_delete", run=f"{request.namespace}/{request.name}")


def _checked(request: AnalysisRequested) -> dict[str, Any]:
    """The manifest to create: of the kind and place the message names, and without a status, for a verdict is never asked for."""
    manifest = request.manifest or {}
    metadata = manifest.get("metadata") or {}
    wanted = {
        "apiVersion": (manifest.get("apiVersion", keys.API_VERSION), keys.API_VERSION),
        "kind": (manifest.get("kind", ANALYSIS_RUN.kind), ANALYSIS_RUN.kind),
        "metadata.namespace": (metadata.get("namespace"), request.namespace),
        "metadata.name": (metadata.get("name"), request.name),
    }
    for field, (given, right) in wanted.items():
        if given != right:
            raise GiveUp(f"manifest.{field} is {given!r}, it must be {right!r}")
    return {key: value for key, value in manifest.items() if key != "status"}
