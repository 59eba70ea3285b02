"""From the caches to what one decision about an experiment sees. Reads, decides nothing."""

from collections.abc import Mapping
from typing import Any

from tidegate import keys
from tidegate_planner.experiments.seen import Seen, Service
from tidegate_planner.experiments.spec import problem_in, spec_of
from tidegate_planner.observe import looked_up_templates
from tidegate_planner.readings import analysis_run_of, instance_of, replica_set_of
from tidegate_planner.world import BY_OWNER, Key, World

Json = Mapping[str, Any]


class Observer:
    """Makes a `Seen` for a key. An experiment is read anew each time: without a status subresource every write of its status is
    another generation."""

    def __init__(self, world: World) -> None:
        self._world = world

    def forget(self, uid: str) -> None:
        self._world.refusals.pop(uid, None)

    def is_gone(self, key: Key) -> bool:
        return self._world.experiments.get(*key) is None

    def see(self, key: Key) -> Seen | None:
        """None when the experiment is gone, going, or another instance's."""
        manifest = self._world.experiments.get(*key)
        if manifest is None or manifest["metadata"].get("deletionTimestamp") or instance_of(manifest) != self._world.instance:
            return None
        metadata, status = manifest["metadata"], manifest.get("status") or {}
        uid, namespace = metadata["uid"], metadata["namespace"]
        if not status.get("phase"):
            self._world.refusals.pop(uid, None)  # it begins, or begins again: what was refused may be right by now
        problem = problem_in(manifest)
        return Seen(
            namespace=namespace,
            name=metadata["name"],
            uid=uid,
            resource_version=int(metadata["resourceVersion"]),
            annotations=metadata.get("annotations") or {},
            labels=metadata.get("labels") or {},
            status=status,
            manifest=manifest,
            spec=None if problem else spec_of(manifest),
            problem=problem,
            replica_sets={
                _template_of(each): replica_set_of(each, with_template=False)
                for each in self._world.replica_sets.by_index(BY_OWNER, uid)
            },
            services={_template_of(each): _service_of(each) for each in self._world.services.by_index(BY_OWNER, uid)},
            runs=tuple(analysis_run_of(each) for each in self._world.analysis_runs.by_index(BY_OWNER, uid)),
            templates=self._templates(namespace, manifest),
            refusals=self._world.refusals.get(uid, {}),
            in_traffic=self._in_traffic(manifest),
        )

    def _templates(self, namespace: str, manifest: Json) -> dict[tuple[str, str], Json]:
        found = looked_up_templates(self._world, namespace, (manifest.get("spec") or {}).get("analyses") or ())
        return {key: held for key, held in found.items() if held is not None}

    def _in_traffic(self, manifest: Json) -> frozenset[str]:
        """To whom the Rollout of this experiment may be sending requests: it names them before it asks for any."""
        owner = rollout_of(manifest)
        rollout = self._world.rollouts.get(manifest["metadata"]["namespace"], owner["name"]) if owner else None
        if owner is None or rollout is None or rollout["metadata"]["uid"] != owner["uid"]:
            return frozenset()
        weights = ((rollout.get("status") or {}).get("canary") or {}).get("weights") or {}
        additional = weights.get("additional") or ()
        return frozenset(each.get("podTemplateHash") or "" for each in additional)


def rollout_of(experiment: Json) -> Json | None:
    """The owner reference to the Rollout whose step it is."""
    owners = experiment["metadata"].get("ownerReferences") or ()
    return next((each for each in owners if each.get("controller") and each.get("kind") == "Rollout"), None)


def _template_of(child: Json) -> str:
    return str((child["metadata"].get("annotations") or {}).get(keys.EXPERIMENT_TEMPLATE_NAME, ""))


def _service_of(manifest: Json) -> Service:
    metadata = manifest["metadata"]
    chosen = ((manifest.get("spec") or {}).get("selector") or {}).get(keys.POD_TEMPLATE_HASH, "")
    return Service(name=metadata["name"], uid=metadata["uid"], hash=chosen)
