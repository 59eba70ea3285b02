"""A Kubernetes Job whose outcome is the measurement (`argo-behaviour.md` 8.11); conditions are not asked.

The Job's name follows from run, metric and number, so that whoever measures the same again finds the Job and starts no second one.
It is a child of the run and goes with it.
"""

import contextlib
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from math import sqrt
from typing import Any, ClassVar, Final

from tidegate import keys
from tidegate.errors import KubeError
from tidegate.kube.errors import AlreadyExists, NotFound, Transient
from tidegate.kube.kinds import ANALYSIS_RUN, JOB, POD
from tidegate_analyzer.metrics import instant
from tidegate_analyzer.provider import Config, Context, Decided, NotMeasured, Outcome, Texts, Tools, Unfinished

NAME: Final = "job"
JOB_NAME, JOB_NAMESPACE = "job-name", "job-namespace"
UID: Final = "analysisrun.argoproj.io/uid"
RUN_NAME: Final = "analysisrun.argoproj.io/name"
RUN_NAMESPACE: Final = "analysisrun.argoproj.io/namespace"
METRIC_NAME: Final = "analysisrun.argoproj.io/metric-name"
LONGEST_NAME: Final = 63  # it becomes the value of a label on the pods
HOPELESS: Final = frozenset({"ErrImagePull", "ImagePullBackOff", "InvalidImageName"})
AGAIN: Final = timedelta(seconds=5)


class Job:
    """See the module's docstring."""

    offers: ClassVar[tuple[str, ...]] = ("any container", "found again after a restart", "judges itself")

    def __init__(self, tools: Tools) -> None:
        self._kube = tools.kube
        self._clock = tools.clock

    async def measure(self, config: Config, context: Context) -> Outcome:
        manifest = manifest_of(config, context)
        name = manifest["metadata"]["name"]
        try:
            await self._kube.create(JOB, manifest)
        except AlreadyExists:
            await self._require_own(context, name)
        except KubeError as error:
            raise NotMeasured(str(error)) from error
        await self._collect(context)
        return Unfinished(resume_at=context.now, metadata={JOB_NAME: name, JOB_NAMESPACE: context.namespace})

    async def resume(self, config: Config, context: Context, metadata: Texts) -> Outcome:  # noqa: ARG002 - the port's
        try:
            job = await self._kube.get(JOB, *_place(metadata))
            if (phase := phase_of(job)) is not None:
                return Decided(phase=phase, metadata=metadata)
            pods, _ = await self._kube.list(POD, metadata[JOB_NAMESPACE], f"{JOB_NAME}={metadata[JOB_NAME]}")
        except Transient:
            return Unfinished(resume_at=self._clock() + AGAIN, metadata=metadata)
        except KubeError as error:
            raise NotMeasured(str(error)) from error
        if problem := next(filter(None, map(hopelessness, pods)), ""):
            return Decided(phase="Inconclusive", message=problem, metadata=metadata)
        return Unfinished(resume_at=next_poll(job, self._clock()), metadata=metadata)

    async def terminate(self, config: Config, context: Context, metadata: Texts) -> Outcome:  # noqa: ARG002 - the port's
        try:
            await self._kube.delete(JOB, *_place(metadata), propagation="Foreground")
        except NotFound:
            pass
        except KubeError as error:
            raise NotMeasured(str(error)) from error
        return Decided(phase="Inconclusive", message="Metric Terminated", metadata=metadata)

    async def _collect(self, context: Context) -> None:
        """The Job of the measurement that the run shows no longer. One that cannot be deleted goes with its run."""
        if context.number > context.kept:
            outdated = replace(context, number=context.number - context.kept)
            with contextlib.suppress(KubeError):
                await self._kube.delete(JOB, context.namespace, job_name(outdated))

    async def _require_own(self, context: Context, name: str) -> None:
        try:
            found = await self._kube.get(JOB, context.namespace, name)
        except KubeError as error:
            raise NotMeasured(str(error)) from error
        if (found["metadata"].get("labels") or {}).get(UID) != context.uid:
            raise NotMeasured(f'jobs.batch "{name}" already exists and belongs to someone else')


def _place(metadata: Texts) -> tuple[str, str]:
    return metadata[JOB_NAMESPACE], metadata[JOB_NAME]


def job_name(context: Context) -> str:
    """`<run uid>.<metric>.<number>`, the metric's part cut so that the whole fits. Pure."""
    room = LONGEST_NAME - len(context.uid) - len(str(context.number)) - 2
    return f"{context.uid}.{context.metric[:room]}.{context.number}"


def manifest_of(config: Config, context: Context) -> dict[str, Any]:
    """Pure."""
    given, spec = config.get("metadata") or {}, config.get("spec") or {}
    template = spec.get("template") or {}
    metadata = template.get("metadata") or {}
    labels = {**(metadata.get("labels") or {}), UID: context.uid}
    return {
        "apiVersion": JOB.api_version,
        "kind": JOB.kind,
        "metadata": {
            "name": job_name(context),
            "namespace": context.namespace,
            "labels": {**(given.get("labels") or {}), UID: context.uid},
            "annotations": {
                **(given.get("annotations") or {}),
                RUN_NAME: context.run,
                RUN_NAMESPACE: context.namespace,
                METRIC_NAME: context.metric,
            },
            "ownerReferences": [_owner(context)],
        },
        "spec": {**spec, "template": {**template, "metadata": {**metadata, "labels": labels}}},
    }


def _owner(context: Context) -> dict[str, Any]:
    return {
        "apiVersion": keys.API_VERSION,
        "kind": ANALYSIS_RUN.kind,
        "name": context.run,
        "uid": context.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }


def phase_of(job: Mapping[str, Any]) -> str | None:
    """The measurement's phase, or None while the Job goes on. Pure."""
    phases = {"Complete": "Successful", "Failed": "Failed"}
    conditions = (job.get("status") or {}).get("conditions") or ()
    return next((phases[each["type"]] for each in conditions if each["type"] in phases and each.get("status") == "True"), None)


def hopelessness(pod: Mapping[str, Any]) -> str:
    """Why a pod can never run its image; "" if it can. Pure."""
    status = pod.get("status") or {}
    for each in [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]:
        waiting = (each.get("state") or {}).get("waiting") or {}
        if waiting.get("reason") in HOPELESS:
            where = f"Pod {pod['metadata']['name']}, container {each['name']}"
            return f"{where} has terminal error ({waiting['reason']}): {waiting.get('message', '')}"
    return ""


def next_poll(job: Mapping[str, Any], now: datetime) -> datetime:
    """After the root of twice the Job's age: 1 s old, after 1.4 s; an hour old, after 85 s. Pure."""
    age = (now - (instant(job["metadata"].get("creationTimestamp")) or now)).total_seconds()
    return now + timedelta(seconds=max(1.0, sqrt(2 * max(0.0, age))))
