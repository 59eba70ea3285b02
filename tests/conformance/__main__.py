"""`make conformance`: the peer's recorded scenarios, played on our suite, compared point by point.

    make conformance                          all of them, on a control plane, a bus and services of our own
    make conformance ARGS="canary- invalid-"  only those whose name begins so
    ... ARGS="--kubeconfig FILE"              on a suite that runs already
    ... ARGS="--record DIR"                   keep the recordings, and also play what is known not to work yet

Exits 1 when an agreement that is promised is lost (see `verdict`).
"""

import argparse
import asyncio
import contextlib
import json
import os
import sys
import tempfile
import uuid
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import analyses
import bluegreens
import canaries
import invalids
import peer
import routings
from play import LONG_QUIET, Play
from points import Points, points_of
from recording import FOREIGN, Camera
from verdict import Verdict, judged, known_differences, not_yet

from tidegate.bus.server import LocalNats
from tidegate.errors import KubeError
from tidegate.kube.client import Kube
from tidegate.kube.credentials import load
from tidegate.kube.errors import AlreadyExists
from tidegate.kube.kinds import CRD, NAMESPACE, Kind
from tidegate.testing import Endpoint, Reply, Request, Suite, eventually
from tidegate_cli.local.services import MODULES
from tidegate_cli.local.stack import install_crds
from tidegate_embedded import ControlPlane, Options

SCENARIOS: dict[str, Callable[[Play], Awaitable[None]]] = {
    **canaries.SCENARIOS, **bluegreens.SCENARIOS, **routings.SCENARIOS, **analyses.SCENARIOS, **invalids.SCENARIOS,
}  # fmt: skip
MEASURED = {
    "/good": {"data": {"ok": True, "rate": 0.99}},
    "/mid": {"data": {"ok": True, "rate": 0.8}},
    "/bad": {"data": {"ok": False, "rate": 0.5}},
}
AT_ONCE = 8


def measured(request: Request) -> Reply:
    value = MEASURED.get(request.path)
    return Reply(status=500) if value is None else Reply(body=json.dumps(value).encode())


async def install_foreign(kube: Kube) -> None:
    """The routers' kinds without their schemas: only what our suite writes into them matters here."""
    for kind in FOREIGN:
        with contextlib.suppress(AlreadyExists):
            await kube.create(CRD, bare_crd(kind))
    for kind in FOREIGN:
        await eventually(partial(served, kube, kind), bool, what=f"{kind} to be served")


async def served(kube: Kube, kind: Kind) -> bool:
    try:
        await kube.list(kind)
    except KubeError:
        return False
    return True


def bare_crd(kind: Kind) -> dict[str, object]:
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    version = {"name": kind.version, "served": True, "storage": True, "schema": schema}
    names = {"kind": kind.kind, "plural": kind.plural, "singular": kind.kind.lower(), "listKind": f"{kind.kind}List"}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": str(kind)},
        "spec": {"group": kind.group, "scope": "Namespaced", "names": names, "versions": [version]},
    }


@contextmanager
def running(kubeconfig: Path | None) -> Iterator[Path]:
    """The kubeconfig of a suite: a given one, or one of our own."""
    if kubeconfig is not None:
        yield kubeconfig
        return
    with ControlPlane(Options()) as plane, LocalNats() as nats, tempfile.TemporaryDirectory() as logs:
        asyncio.run(install_crds(plane.kubeconfig))
        settings = {"KUBECONFIG": str(plane.kubeconfig), "NATS_URL": nats.url}
        with Suite(MODULES, settings=settings, folder=Path(logs)) as suite:
            yield plane.kubeconfig
            for died in suite.ended():
                sys.exit(f"a service ended: {died}")


class Stage:
    """Where scenarios are played, several at a time, each in a namespace that goes afterwards."""

    def __init__(self, kube: Kube, camera: Camera, metrics: str, given: argparse.Namespace) -> None:
        self._kube, self._camera, self._metrics = kube, camera, metrics
        self._records: Path | None = given.record
        self._verbose: bool = given.verbose
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._golden = peer.read(given.golden)
        self._differences = known_differences()

    async def play(self, name: str) -> Verdict:
        async with self._slots:
            ours, notes = await self._recorded(name)
        verdict = self._judged(name, ours, notes)
        print("\n".join(verdict.lines(self._golden[name], ours, verbose=self._verbose)), flush=True)  # noqa: T201 - the report
        return verdict

    def _judged(self, name: str, ours: Points, notes: list[str]) -> Verdict:
        return judged(name, self._golden[name], ours, self._differences, notes)

    async def _recorded(self, name: str) -> tuple[Points, list[str]]:
        namespace = f"conformance-{uuid.uuid4().hex[:12]}"
        film = self._camera.film(namespace)
        await self._kube.create(NAMESPACE, {"metadata": {"name": namespace}})
        play = Play(self._kube, film, self._metrics)
        try:
            await SCENARIOS[name](play)
            await play.quiet()
            if not self._judged(name, points_of(film.developed()), play.notes).holds:
                await play.quiet(LONG_QUIET)
        finally:
            await self._kube.delete(NAMESPACE, None, namespace)
        recording = film.developed()
        if self._records is not None:
            self._records.mkdir(parents=True, exist_ok=True)
            (self._records / f"{name}.json").write_text(json.dumps(recording, indent=1, sort_keys=True))
        return points_of(recording), play.notes


async def play_all(kubeconfig: Path, given: argparse.Namespace) -> list[Verdict]:
    wanted = [name for name in SCENARIOS if name.startswith(tuple(given.prefixes) or "")]
    left = {} if given.record else {name: why for name in wanted if (why := not_yet(name, known_differences()))}
    for name, why in left.items():
        print(f"  -   {name:30} {why}")  # noqa: T201
    async with Kube(load(kubeconfig), user_agent="kubectl") as kube:
        await install_foreign(kube)
        with Endpoint(measured) as endpoint:
            async with Camera(kube) as camera:
                stage = Stage(kube, camera, endpoint.url, given)
                return list(await asyncio.gather(*(stage.play(name) for name in wanted if name not in left)))


def main() -> None:
    parser = argparse.ArgumentParser(prog="make conformance", description="the peer's recorded scenarios on our suite")
    parser.add_argument("prefixes", nargs="*", help="only scenarios whose name begins so")
    parser.add_argument("--kubeconfig", type=Path, default=None, help="a cluster where the suite runs already")
    parser.add_argument("--record", type=Path, default=None, metavar="DIR", help="keep recordings; play all")
    parser.add_argument("--golden", type=Path, default=peer.GOLDEN, metavar="FILE", help="compare with other points")
    parser.add_argument("--verbose", action="store_true", help="show known differences and other ways too")
    given = parser.parse_args()
    os.environ.pop("NATS_URL", None)
    with running(given.kubeconfig) as kubeconfig:
        verdicts = asyncio.run(play_all(kubeconfig, given))
    lost = [each.scenario for each in verdicts if not each.holds]
    kept = f"{len(verdicts) - len(lost)} of {len(verdicts)} scenarios keep what is promised"
    print(f"{kept}; lost: {', '.join(lost)}" if lost else kept)  # noqa: T201
    sys.exit(bool(lost) or not verdicts)


if __name__ == "__main__":
    main()
