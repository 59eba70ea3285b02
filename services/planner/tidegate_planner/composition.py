"""The planner put together: caches, workers, handlers. The only place where its parts meet."""

import asyncio
import random
import time
from collections.abc import Callable
from typing import Any, Self

import structlog

from tidegate import keys
from tidegate.bus import PLANNER_ANSWERS, PLANNER_REQUESTS, Envelope, wildcard
from tidegate.kube.cache import Cache
from tidegate.kube.client import Kube
from tidegate.kube.kinds import (
    ANALYSIS_RUN,
    ANALYSIS_TEMPLATE,
    CLUSTER_ANALYSIS_TEMPLATE,
    EXPERIMENT,
    REPLICA_SET,
    ROLLOUT,
    SERVICE,
    Kind,
)
from tidegate.messages import (
    OUTCOMES,
    PLUGINS,
    TRAFFIC,
    EventsRecorded,
    Message,
    RolloutCommanded,
    RolloutRequested,
    StepAnswered,
    TrafficApplied,
    TrafficRequested,
)
from tidegate.service import Reactions, Service
from tidegate_planner.apply import Applier
from tidegate_planner.decide import decide
from tidegate_planner.experiments import narrative
from tidegate_planner.experiments.apply import Applier as ExperimentApplier
from tidegate_planner.experiments.decide import decide as decide_experiment
from tidegate_planner.experiments.observe import Observer as ExperimentObserver
from tidegate_planner.observe import Observer
from tidegate_planner.outside import Outside
from tidegate_planner.podlists import Pods
from tidegate_planner.readings import slim_replica_set
from tidegate_planner.requests import Requests
from tidegate_planner.router_objects import WatchedKinds, slim
from tidegate_planner.seen import Traffic
from tidegate_planner.step_calls import Answer
from tidegate_planner.telling import OF_ROLLOUTS, Story, Teller
from tidegate_planner.wakes import Wakes
from tidegate_planner.worker import Passes, worker_on
from tidegate_planner.workload_reads import Workloads
from tidegate_planner.workloads import slim_workload
from tidegate_planner.world import World

log = structlog.get_logger(__name__)

Slim = Callable[[dict[str, Any]], dict[str, Any]]
FEED_PATIENCE = 5.0  # seconds to wait for what was said before; NATS may be away, and a rollout must not wait for it


class Planner:
    """Holds the parts; `start` brings them to life, leaving its context ends them."""

    def __init__(self, service: Service, kube: Kube) -> None:
        self._service, self._settings, self._bus, self._kube = service, service.settings, service.bus, kube
        self._rollouts = self._cache(ROLLOUT)
        self._replica_sets = self._cache(REPLICA_SET, labels=keys.POD_TEMPLATE_HASH, slim=slim_replica_set)
        self._services = self._cache(SERVICE)
        self._runs = self._cache(ANALYSIS_RUN)
        self._templates = self._cache(ANALYSIS_TEMPLATE)
        self._cluster_templates = self._cache(CLUSTER_ANALYSIS_TEMPLATE, namespaced=False)
        self._experiments = self._cache(EXPERIMENT)
        templates = (self._templates, self._cluster_templates)
        self.caches = (self._rollouts, self._replica_sets, self._services, self._runs, self._experiments, *templates)
        workloads = WatchedKinds(
            self._workload_cache,
            lambda cache: service.spawn(cache.run(), name=str(cache.kind)),
            namespace=service.settings.namespace,
        )
        self._world = World(
            rollouts=self._rollouts,
            replica_sets=self._replica_sets,
            services=self._services,
            analysis_runs=self._runs,
            templates=self._templates,
            cluster_templates=self._cluster_templates,
            workloads=workloads,
            router_objects=WatchedKinds(
                self._router_cache,
                lambda cache: service.spawn(cache.run(), name=str(cache.kind)),
                namespace=service.settings.namespace,
            ),
            experiments=self._experiments,
            instance=service.settings.instance_id,
            step_plugins=service.settings.step_plugins,
        )
        pods = Pods(kube, clock=time.time)
        applier = Applier(
            kube=kube,
            bus=service.bus,
            world=self._world,
            rollouts=self._rollouts,
            replica_sets=self._replica_sets,
            experiments=self._experiments,
            outside=Outside(kube=kube, pods=pods),
            clock=time.time,
        )
        self._teller = Teller(service.bus, OF_ROLLOUTS, clock=time.time)
        self._worker = worker_on(
            Passes(
                observer=Observer(self._world),
                look=Workloads(kube=kube, views=workloads, further=pods.look).look,
                decide=decide,
                applier=applier,
                teller=self._teller,
                clock=time.time,
            )
        )
        of_experiments = Story(kind="Experiment", narrate=narrative.narrate, read=narrative.told_from_json)
        self._experiment_teller = Teller(service.bus, of_experiments, clock=time.time)
        self._experimenter = worker_on(
            Passes(
                observer=ExperimentObserver(self._world),
                decide=decide_experiment,
                applier=ExperimentApplier(shared=applier, services=self._services),
                teller=self._experiment_teller,
                clock=time.time,
            )
        )
        self._wakes = Wakes(
            rollouts=self._rollouts,
            replica_sets=self._replica_sets,
            services=self._services,
            runs=self._runs,
            experiments=self._experiments,
            templates=templates,
            instance=service.settings.instance_id,
            wake_rollout=self._worker.wake,
            wake_experiment=self._experimenter.wake,
        )
        self._wakes.wire()

    async def start(self) -> Reactions:
        """Fill the caches, hear what was told before, then decide. Returns what the bus is to be asked for."""
        for cache in self.caches:
            self._service.spawn(cache.run(), name=str(cache.kind))
            self._service.ready_when(str(cache.kind), cache.synced.is_set)
        told = self._bus.feed(OUTCOMES, "tidegate.recorded.planner.*.*", self._hear_told)
        self._bus.feed(TRAFFIC, "tidegate.traffic.*.*.*", self._hear_traffic)
        for cache in self.caches:
            await cache.synced.wait()
        answers = self._bus.feed(PLUGINS, wildcard(StepAnswered), self._hear_plugin, letters=PLANNER_ANSWERS)
        self._world.least_fence = min(cache.first_version for cache in self.caches)
        for teller in (self._teller, self._experiment_teller):
            teller.wait_for(told.caught_up)
        try:
            await asyncio.wait_for(asyncio.gather(told.caught_up.wait(), answers.caught_up.wait()), FEED_PATIENCE)
        except TimeoutError:
            log.warning("what was said before is not heard yet", next="rollouts go on, and are told of once it is")
        members = self._bus.members("planner", lambda live: self._share_with(live, members.me))
        self._share_with(members.live, members.me)
        self._worker.start()
        self._experimenter.start()
        if not told.caught_up.is_set():
            self._service.spawn(self._wake_after(told.caught_up), name="what was told")
        self._service.spawn(self._resync(), name="resync")
        await self._bus.open_ask_door((RolloutRequested, RolloutCommanded))
        settings = self._settings
        requests = Requests(kube=self._kube, bus=self._bus, namespace=settings.namespace, instance=settings.instance_id)
        return {PLANNER_REQUESTS: {RolloutRequested: requests.on_requested, RolloutCommanded: requests.on_commanded}}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Finish the passes under way, and tell what they found."""
        await asyncio.gather(self._worker.close(), self._experimenter.close())
        await asyncio.gather(self._teller.close(), self._experiment_teller.close())

    async def _wake_after(self, heard: asyncio.Event) -> None:
        """What happened until then was not told."""
        await heard.wait()
        self._wake_all()

    async def _resync(self) -> None:
        """Finds what no message announced; spread out, so that replicas do not look at the same moment."""
        while True:
            await asyncio.sleep(self._settings.resync * random.uniform(0.8, 1.2))  # noqa: S311 - nothing to hide
            self._wake_all()

    def _wake_all(self) -> None:
        self._worker.wake_all()
        self._experimenter.wake_all()

    def _share_with(self, members: frozenset[str], me: str) -> None:
        self._worker.share_with(members, me)
        self._experimenter.share_with(members, me)

    # --- caches made when somebody needs them, and what is heard ------------------------------------------------------------

    def _workload_cache(self, kind: Kind) -> Cache:
        cache = self._cache(kind, slim=slim_workload)
        cache.on_change(lambda _type, old, new: self._wakes.referrers(kind, old, new))
        return cache

    def _router_cache(self, kind: Kind) -> Cache:
        """A kind whose CRD need not be installed."""
        cache = Cache(self._kube, kind, namespace=self._settings.namespace, slim=slim, optional=True)
        cache.on_change(lambda _type, old, new: self._wakes.naming(kind, new or old))
        return cache

    def _hear_traffic(self, message: Message, _envelope: Envelope) -> None:
        if isinstance(message, TrafficRequested):
            self._world.ask_traffic(message.uid, message)
        elif isinstance(message, TrafficApplied):
            verified = [report.verified for report in message.reports if report.verified is not None]
            traffic = Traffic(
                digest=message.digest,
                state=message.state,
                fence=message.fence,
                verified=all(verified) if verified else None,
                message=message.message,
                status={field: value for report in message.reports for field, value in report.status.items()},
            )
            self._world.hear_traffic(message.uid, traffic)
            self._wakes.rollout(self._rollouts.get(message.namespace, message.name))

    def _hear_plugin(self, message: Message, _envelope: Envelope) -> None:
        rollout = self._rollouts.get(message.namespace, message.name)
        if isinstance(message, StepAnswered) and rollout is not None:
            answer = Answer(
                id=message.id,
                phase=message.phase,
                message=message.message,
                requeue_after=message.requeue_after,
                status=message.status,
            )
            self._world.step_answers.setdefault(rollout["metadata"]["uid"], {})[message.plugin] = answer
            self._wakes.rollout(rollout)

    def _hear_told(self, message: Message, _envelope: Envelope) -> None:
        if isinstance(message, EventsRecorded):
            own = self._worker.owns((message.namespace, message.name))
            self._teller.hear(message, ours=own)
            self._experiment_teller.hear(message, ours=own)

    def _cache(self, kind: Kind, *, labels: str | None = None, slim: Slim | None = None, namespaced: bool = True) -> Cache:
        namespace = self._settings.namespace if namespaced else None
        return Cache(self._kube, kind, namespace=namespace, labels=labels, slim=slim)
