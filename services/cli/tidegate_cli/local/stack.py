"""Control plane, bus, CRDs and, if asked for, the services: everything `up` and `demo` start, in the order they need each other."""

import asyncio
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tidegate.errors import TidegateError
from tidegate.kube.client import Kube
from tidegate.kube.credentials import load
from tidegate.kube.errors import NotFound
from tidegate.kube.kinds import CRD
from tidegate_cli.local.controlplanes import Choice, ControlPlane, Report, running
from tidegate_cli.local.identities import BusUsers, environments, service_accounts
from tidegate_cli.local.services import Child, Services

FIELD_MANAGER = "tidegate"
ESTABLISH_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    control_plane: ControlPlane
    nats_url: str
    """Of a bus of our own with the user `sender` in it: who uses the stack asks and listens, and is no service."""
    services: Services | None

    @property
    def settings(self) -> dict[str, str]:
        """What another shell has to set to work with it."""
        return {"KUBECONFIG": str(self.control_plane.kubeconfig), "NATS_URL": self.nats_url}

    @property
    def children(self) -> list[Child]:
        return self.services.children if self.services is not None else []

    def check(self) -> None:
        if self.services is not None:
            self.services.check()


@contextmanager
def running_stack(
    *,
    choice: Choice,
    logs: Path,
    report: Report,
    environment: Mapping[str, str] = os.environ,
    with_services: bool,
    namespace: str | None = None,
) -> Iterator[Stack]:
    with ExitStack() as parts:
        began = time.monotonic()
        plane = parts.enter_context(running(choice, environment, report))
        report(f"control plane   {plane.description} ({time.monotonic() - began:.1f} s)")
        bus = parts.enter_context(running_bus(environment, report))
        installed = asyncio.run(install_crds(plane.kubeconfig))
        report(f"CRDs            {len(installed)} installed" if installed else "CRDs            there already, left as they are")
        services = None
        if with_services:
            settings = {**environment, "NATS_URL": bus.url, **({"TIDEGATE_NAMESPACE": namespace} if namespace else {})}
            accounts = parts.enter_context(service_accounts(plane.kubeconfig, logs))
            services = parts.enter_context(Services(settings, logs=logs, own=environments(accounts, bus.users)))
            report("services        " + "  ".join(f"{name} {pid}" for name, pid in services.pids.items()))
        yield Stack(control_plane=plane, nats_url=bus.url_for_people, services=services)


@dataclass(frozen=True, slots=True)
class BusAddress:
    """`users` None means a server that somebody else runs; who we are there is in the environment, if it asks."""

    url: str
    users: BusUsers | None = None

    @property
    def url_for_people(self) -> str:
        return self.users.url(self.url, "sender") if self.users else self.url


@contextmanager
def running_bus(environment: Mapping[str, str], report: Callable[[str], None]) -> Iterator[BusAddress]:
    """The server NATS_URL names, else one of our own."""
    from tidegate.bus.connection import address
    from tidegate.bus.server import LocalNats

    url = environment.get("NATS_URL")
    if url:
        report(f"bus             {address(url)} (NATS_URL)")
        yield BusAddress(url)
        return
    users = BusUsers.fresh()
    with LocalNats(config=users.server_config) as nats:
        report(f"bus             nats-server at {nats.url} (pid {nats.pid})")
        yield BusAddress(nats.url, users)


async def install_crds(kubeconfig: Path) -> list[str]:
    """Those that are absent, and wait until the API server serves all; the names of those that were installed.

    What is there belongs to someone. It accepts the same objects, and taking it over is a decision for `kubectl apply`.
    """
    from tidegate.crd.generate import crds

    async with Kube(load(kubeconfig), user_agent="tidegate-cli/0") as kube:
        manifests = {each["metadata"]["name"]: each for each in crds()}
        there = {each["metadata"]["name"] for each in (await kube.list(CRD))[0]}
        absent = [name for name in manifests if name not in there]
        for name in absent:
            await kube.apply(CRD, manifests[name], field_manager=FIELD_MANAGER)
        try:
            async with asyncio.timeout(ESTABLISH_SECONDS):
                await asyncio.gather(*(_establishment(kube, name) for name in manifests))
        except TimeoutError as error:
            raise TidegateError(f"the API server did not establish the CRDs within {ESTABLISH_SECONDS:.0f} s") from error
    return absent


async def _establishment(kube: Kube, name: str) -> None:
    while not await _is_established(kube, name):  # noqa: ASYNC110 - another process changes it
        await asyncio.sleep(0.1)


async def _is_established(kube: Kube, name: str) -> bool:
    try:
        found = await kube.get(CRD, None, name)
    except NotFound:
        return False
    conditions = (found.get("status") or {}).get("conditions") or ()
    return any(each["type"] == "Established" and each["status"] == "True" for each in conditions)
