"""What people and delivery tools ask for over the bus, carried out on the Rollout in Kubernetes; the sender hears the reason of a
refusal (DESIGN.md 4). The rollout itself then goes the way of every changed object: the watch wakes the worker.

A request that comes twice changes nothing the second time: it says what should be. A command says what to do, so the object
keeps which ones have acted.
"""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any, Protocol

from tidegate import keys, verbs
from tidegate.bus.envelope import Envelope
from tidegate.errors import GiveUp, KubeError, Retry
from tidegate.kube.client import Kube
from tidegate.kube.errors import AlreadyExists, Conflict, Invalid, NotFound, PreconditionFailed, Transient
from tidegate.kube.kinds import REPLICA_SET, ROLLOUT, Kind
from tidegate.kube.patches import merged, pointer
from tidegate.messages import RequestAnswered, RolloutCommanded, RolloutRequested
from tidegate.verbs import JsonPatch, MergePatch, Patch
from tidegate_planner.readings import instance_of
from tidegate_planner.validation import message as problem_message
from tidegate_planner.validation import problems

Json = Mapping[str, Any]
CHANGES_OF_SPEC = frozenset({"pause", "restart", "undo"})
COMMANDS_NOTED = 5  # several at once can be under way, at several replicas
NOT_TAKEN = ("resourceVersion", "uid", "generation", "creationTimestamp", "managedFields", "selfLink")


class Answers(Protocol):
    async def answer(self, envelope: Envelope, answer: RequestAnswered) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Requests:
    """The handlers of `rollout.requested` and `rollout.command.*`. `namespace` is the only one served, None serves all; `instance`:
    only Rollouts with this instance id are (`argo-behaviour.md` 14)."""

    kube: Kube
    bus: Answers
    namespace: str | None = None
    instance: str = ""

    async def on_requested(self, request: RolloutRequested, envelope: Envelope) -> None:
        self._refuse_foreign_namespace(request.namespace)
        asked_by = _asked_by(envelope)
        try:
            if request.manifest is not None:
                rollout = await self._apply_manifest(request, request.manifest, asked_by)
            else:
                rollout = await self._change(request, asked_by)
        except KubeError as error:
            raise _verdict(error, request.namespace, request.name) from error
        except verbs.Refused as error:
            raise GiveUp(str(error)) from error
        await self._accept(envelope, rollout)

    async def on_commanded(self, command: RolloutCommanded, envelope: Envelope) -> None:
        self._refuse_foreign_namespace(command.namespace)
        try:
            rollout = await self.kube.get(ROLLOUT, command.namespace, command.name)
            self._refuse_foreign_instance(rollout)
            workload = await self._undone_in(command, rollout)
            command_id, place = _digest(envelope.id), _place(command, rollout, workload)
            noted = _noted_commands(rollout)
            if noted.get(command_id, place) == place:  # else it has acted before: it was delivered again
                patches = await self._patches(command, rollout, workload)
                if patches and command_id not in noted:
                    rollout = await self._note_command({**noted, command_id: place}, rollout)
                for patch in patches:
                    written = await self._write(command.namespace, patch, rollout)
                    rollout = written if patch.kind == ROLLOUT else rollout
        except KubeError as error:
            raise _verdict(error, command.namespace, command.name) from error
        except verbs.Refused as error:
            raise GiveUp(str(error)) from error
        await self._accept(envelope, rollout)

    async def _note_command(self, commands: Mapping[str, str], rollout: dict[str, Any]) -> dict[str, Any]:
        """Written before the command acts, so that a process that dies in between leaves one that is seen to have done nothing."""
        told = ",".join(f"{each}.{place}" for each, place in list(commands.items())[-COMMANDS_NOTED:])
        body = {"metadata": {"annotations": {keys.COMMANDS: told}}}
        name, namespace = rollout["metadata"]["name"], rollout["metadata"]["namespace"]
        return await self._write(namespace, MergePatch(kind=ROLLOUT, name=name, body=body), rollout)

    async def _undone_in(self, command: RolloutCommanded, rollout: Json) -> dict[str, Any] | None:
        """What an undo changes instead of the Rollout."""
        if command.verb != "undo" or not rollout["spec"].get("workloadRef"):
            return None
        return (await self._workload(rollout))[1]

    async def _patches(self, command: RolloutCommanded, rollout: dict[str, Any], workload: Json | None) -> Sequence[Patch]:
        match command.verb:
            case "promote" | "resume":
                return verbs.promotion(rollout)
            case "promote-full":
                return verbs.full_promotion(rollout)
            case "abort":
                return verbs.abortion(rollout)
            case "retry":
                return verbs.retrial(rollout)
            case "pause":
                return verbs.pausing(rollout)
            case "restart":
                return verbs.restarting(rollout, at=datetime.now(UTC))  # noqa: TID251 - part of the shell
            case "undo":
                sets, _ = await self.kube.list(REPLICA_SET, command.namespace, keys.POD_TEMPLATE_HASH)
                return verbs.undoing(rollout, sets, to_revision=command.revision or 0, workload=workload).patches

    async def _write(self, namespace: str, patch: Patch, rollout: dict[str, Any]) -> dict[str, Any]:
        """Conditional on what it was made from, so that a command that comes late cannot undo a newer one."""
        if isinstance(patch, JsonPatch):
            return await self.kube.json_patch(patch.kind, namespace, patch.name, patch.operations)
        version = rollout["metadata"]["resourceVersion"]
        body = dict(patch.body)
        return await self.kube.merge_patch(
            patch.kind, namespace, patch.name, body, subresource=patch.subresource, resource_version=version
        )

    async def _apply_manifest(self, request: RolloutRequested, manifest: dict[str, Any], asked_by: Json) -> dict[str, Any]:
        """Create it, or change what it says; fields it does not mention (a scaled `replicas`, say) stay."""
        wanted = _whole_manifest(request, manifest, asked_by)
        _refuse_invalid(wanted)
        self._refuse_foreign_instance(wanted)
        try:
            with contextlib.suppress(AlreadyExists):
                return await self.kube.create(ROLLOUT, wanted)
        except NotFound as error:  # its namespace
            raise GiveUp(f"Rollout {request.namespace}/{request.name} cannot be created: {error}") from error
        try:
            return await self.kube.merge_patch(ROLLOUT, request.namespace, request.name, wanted)
        except NotFound as error:
            raise Retry(f"Rollout {request.namespace}/{request.name} was deleted meanwhile") from error

    async def _change(self, request: RolloutRequested, asked_by: Json) -> dict[str, Any]:
        rollout = await self.kube.get(ROLLOUT, request.namespace, request.name)
        self._refuse_foreign_instance(rollout)
        if request.patch is not None:
            metadata = {**_named_metadata(request.patch), "annotations": {**_annotations(request.patch), **asked_by}}
            body = {**request.patch, "metadata": metadata}
            _refuse_invalid(merged(rollout, body))
            return await self._write(request.namespace, MergePatch(kind=ROLLOUT, name=request.name, body=body), rollout)
        if rollout["spec"].get("workloadRef"):
            return await self._change_workload(request, rollout, asked_by)
        operations = [each for patch in verbs.new_images(rollout, ROLLOUT, request.images or {}) for each in _operations(patch)]
        if not operations:
            return rollout  # a repeated request, or nothing new in it
        operations += _annotating(rollout, asked_by)
        return await self.kube.json_patch(ROLLOUT, request.namespace, request.name, operations)

    async def _change_workload(self, request: RolloutRequested, rollout: dict[str, Any], asked_by: Json) -> dict[str, Any]:
        """The image is the workload's to change; who asked is still kept on the Rollout, and first, so that no outcome lacks it."""
        kind, workload = await self._workload(rollout)
        operations = [each for patch in verbs.new_images(workload, kind, request.images or {}) for each in _operations(patch)]
        if not operations:
            return rollout
        body = {"metadata": {"annotations": dict(asked_by)}}
        rollout = await self._write(request.namespace, MergePatch(kind=ROLLOUT, name=request.name, body=body), rollout)
        await self.kube.json_patch(kind, request.namespace, workload["metadata"]["name"], operations)
        return rollout

    async def _workload(self, rollout: Json) -> tuple[Kind, dict[str, Any]]:
        """What `spec.workloadRef` names, and its kind."""
        kind, namespace = verbs.workload_kind(rollout), rollout["metadata"]["namespace"]
        name = rollout["spec"]["workloadRef"].get("name", "")
        try:
            return kind, await self.kube.get(kind, namespace, name)
        except NotFound as error:
            raise GiveUp(f"{kind.kind} {namespace}/{name}, which spec.workloadRef names, does not exist") from error

    async def _accept(self, envelope: Envelope, rollout: Json) -> None:
        metadata = rollout["metadata"]
        await self.bus.answer(
            envelope,
            RequestAnswered(
                namespace=metadata["namespace"],
                name=metadata["name"],
                accepted=True,
                generation=metadata.get("generation"),
                uid=metadata.get("uid"),
            ),
        )

    def _refuse_foreign_instance(self, rollout: Json) -> None:
        """What would be written here nobody of this installation would act on, and its sender would wait for ever."""
        name, theirs = rollout["metadata"]["name"], instance_of(rollout)
        if theirs != self.instance:
            told = f"the label {keys.INSTANCE_ID}: {theirs}" if theirs else f"no label {keys.INSTANCE_ID}"
            served = f"those with {self.instance}" if self.instance else "those without it"
            raise GiveUp(f"Rollout {name} has {told}; this planner serves {served} only")

    def _refuse_foreign_namespace(self, namespace: str) -> None:
        if self.namespace is not None and namespace != self.namespace:
            raise GiveUp(f"namespace {namespace!r} is not served here; this planner serves {self.namespace!r} only")


def _noted_commands(rollout: Json) -> dict[str, str]:
    """Digest of a command's id -> where the rollout stood when it was to act."""
    entries = _annotations(rollout).get(keys.COMMANDS, "").split(",")
    return {command: place for command, _, place in (entry.partition(".") for entry in entries) if place}


def _place(command: RolloutCommanded, rollout: Json, workload: Json | None) -> str:
    """Where a rollout stands in what the command's verb changes: once it has acted this is different."""
    status: Json = rollout.get("status") or {}
    if command.verb in CHANGES_OF_SPEC:
        changed = rollout if workload is None else workload
        return _digest(str(changed["metadata"].get("generation")))
    fields = ("currentPodHash", "currentStepIndex", "abort", "promoteFull")
    starts = [each.get("startTime") for each in status.get("pauseConditions") or ()]
    attempt = (status.get("duration") or {}).get("rolloutStartedAt")
    return _digest(repr([*(status.get(each) for each in fields), starts, attempt]))


def _digest(text: str) -> str:
    return blake2b(text.encode(), digest_size=6).hexdigest()


def _operations(patch: Patch) -> Sequence[Json]:
    return patch.operations if isinstance(patch, JsonPatch) else ()


def _annotating(rollout: Json, annotations: Json) -> list[Json]:
    """JSON patch operations that add annotations, in the same write as what they are about."""
    if rollout["metadata"].get("annotations") is None:
        return [{"op": "add", "path": "/metadata/annotations", "value": dict(annotations)}]
    return [{"op": "add", "path": pointer("metadata", "annotations", key), "value": value} for key, value in annotations.items()]


def _asked_by(envelope: Envelope) -> dict[str, str]:
    """Kept on the object, the only record there is: the outcomes carry them even when every process was replaced meanwhile."""
    return {keys.CORRELATION_ID: envelope.correlation or envelope.id, keys.REQUESTED_BY: envelope.authid}


def _named_metadata(patch: Json) -> dict[str, Any]:
    """The metadata a sender names, without what only the server may say."""
    metadata = patch.get("metadata")
    return {key: value for key, value in metadata.items() if key not in NOT_TAKEN} if isinstance(metadata, Mapping) else {}


def _annotations(patch: Json) -> dict[str, Any]:
    annotations = _named_metadata(patch).get("annotations")
    return dict(annotations) if isinstance(annotations, Mapping) else {}


def _whole_manifest(request: RolloutRequested, manifest: Json, asked_by: Json) -> dict[str, Any]:
    """The manifest as this request means it: of the named rollout, without what only the server may say, without a status."""
    for field, right in (("apiVersion", keys.API_VERSION), ("kind", "Rollout")):
        if manifest.get(field) != right:
            raise GiveUp(f"manifest.{field} is {manifest.get(field)!r}; it must be {right!r}")
    metadata = manifest.get("metadata")
    if not isinstance(metadata, Mapping):
        raise GiveUp("manifest.metadata is missing; it must at least name the rollout")
    for field, right in (("name", request.name), ("namespace", request.namespace)):
        if metadata.get(field, right) != right:
            raise GiveUp(f"manifest.metadata.{field} is {metadata[field]!r}; the request is about {right!r}")
    annotations = {**_annotations(manifest), **asked_by}
    named = {**_named_metadata(manifest), "name": request.name, "namespace": request.namespace, "annotations": annotations}
    return {**{key: value for key, value in manifest.items() if key != "status"}, "metadata": named}


def _refuse_invalid(manifest: Json) -> None:
    """With the words the status would show. References to other objects are checked later: they may yet be created."""
    found = problems(manifest)
    if found:
        raise GiveUp(problem_message(manifest["metadata"]["name"], found[0]))


def _verdict(error: KubeError, namespace: str, name: str) -> Retry | GiveUp:
    """What a refusal of the API server means for a request: try again, or tell the sender."""
    if isinstance(error, Conflict | PreconditionFailed | Transient):
        return Retry(str(error))
    if isinstance(error, NotFound):
        return GiveUp(f"Rollout {namespace}/{name} does not exist; send its whole manifest to create it")
    if isinstance(error, Invalid):
        return GiveUp(f"Rollout {namespace}/{name} was refused: {error}")
    return GiveUp(f"Rollout {namespace}/{name}: {error}") if error.status in {401, 403} else Retry(str(error))
