"""Who the services are on this machine: a ServiceAccount and a NATS user each, with exactly the rights of an installation.

deploy/rbac is applied under names of this run's own, so an installation in the same cluster is not touched, and is taken away in
the end. On a bus of our own every user of `tidegate.bus.rights` gets a password that is good for this run only.
"""

import asyncio
import secrets
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import yaml

from tidegate.bus.rights import ROLES, authorization
from tidegate.errors import KubeError, TidegateError
from tidegate.kube.client import Kube
from tidegate.kube.credentials import load
from tidegate.kube.errors import Forbidden
from tidegate.kube.kinds import NAMESPACE, SERVICE_ACCOUNT, Kind, Object
from tidegate_cli.local.services import MODULES

RBAC = Path("deploy/rbac")
TOKEN_SECONDS = 7 * 24 * 3600  # `tidegate up` may stay up for days
CLEAN_UP_SECONDS = 15.0

_GROUP = "rbac.authorization.k8s.io"
CLUSTER_ROLE = Kind(_GROUP, "v1", "clusterroles", "ClusterRole", namespaced=False)
CLUSTER_ROLE_BINDING = Kind(_GROUP, "v1", "clusterrolebindings", "ClusterRoleBinding", namespaced=False)
KINDS = {each.kind: each for each in (NAMESPACE, SERVICE_ACCOUNT, CLUSTER_ROLE, CLUSTER_ROLE_BINDING)}


# --- Kubernetes ------------------------------------------------------------------------------------------------------------


@contextmanager
def service_accounts(admin: Path, folder: Path) -> Iterator[dict[str, Path]]:
    """For each service a kubeconfig in `folder` that acts as its ServiceAccount. `admin` must be allowed to grant rights."""
    suffix = secrets.token_hex(4)
    namespace = f"tidegate-local-{suffix}"
    manifests = [{"kind": "Namespace", "metadata": {"name": namespace}}, *own_copy(rbac_manifests(), namespace, suffix)]
    try:
        tokens = asyncio.run(_create(admin, manifests, namespace))
        yield {service: _written(folder / f"{service}.kubeconfig", _as_bearer(admin, token)) for service, token in tokens.items()}
    finally:
        with suppress(KubeError, TimeoutError):
            asyncio.run(_delete(admin, manifests))


def rbac_manifests(start: Path = Path(__file__)) -> list[Object]:
    """Those of the source tree this runs from, of every router: whoever tries one out here has not chosen any yet."""
    for folder in start.parents:
        if (rbac := folder / RBAC).is_dir():
            files = [*sorted(rbac / f"{service}.yaml" for service in MODULES), *sorted(rbac.glob("routers/*/role.yaml"))]
            return [each for file in files for each in yaml.safe_load_all(file.read_text())]
    raise TidegateError(f"{RBAC} was not found; run from a checkout of the repository")


def own_copy(manifests: Iterable[Object], namespace: str, suffix: str) -> list[Object]:
    """The same rights for ServiceAccounts in another namespace, under cluster-wide names nobody else has. Pure."""
    return [_own(each, namespace, suffix) for each in manifests]


def _own(manifest: Object, namespace: str, suffix: str) -> Object:
    name = manifest["metadata"]["name"]
    if manifest["kind"] == "ServiceAccount":
        return {**manifest, "metadata": {"name": name, "namespace": namespace}}
    own: Object = {**manifest, "metadata": {"name": f"{name}-{suffix}"}}
    if "roleRef" in manifest:
        own["roleRef"] = {**manifest["roleRef"], "name": f"{manifest['roleRef']['name']}-{suffix}"}
        own["subjects"] = [{**subject, "namespace": namespace} for subject in manifest["subjects"]]
    return own


async def _create(admin: Path, manifests: Iterable[Object], namespace: str) -> dict[str, str]:
    """A token for each service."""
    request = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {"expirationSeconds": TOKEN_SECONDS},
    }
    tokens = {}
    async with Kube(load(admin), user_agent="tidegate-cli/0") as kube:
        try:
            for each in manifests:
                await kube.create(KINDS[each["kind"]], each)
            for service in MODULES:
                answer = await kube.create_subresource(SERVICE_ACCOUNT, namespace, f"tidegate-{service}", "token", request)
                tokens[service] = answer["status"]["token"]
        except Forbidden as error:
            raise TidegateError(
                f"{admin} may not create ServiceAccounts and give them their rights; `tidegate services` needs neither: {error}"
            ) from error
    return tokens


async def _delete(admin: Path, manifests: Iterable[Object]) -> None:
    async with asyncio.timeout(CLEAN_UP_SECONDS), Kube(load(admin), user_agent="tidegate-cli/0") as kube:
        for each in manifests:
            if each["kind"] != "ServiceAccount":  # they go with their namespace
                with suppress(KubeError):
                    await kube.delete(KINDS[each["kind"]], None, each["metadata"]["name"])


def _as_bearer(admin: Path, token: str) -> Object:
    """The admin's kubeconfig with somebody else in it: the same server, trusted by the same authority."""
    config = yaml.safe_load(admin.read_text())
    context = _named(config["contexts"], config["current-context"])["context"]
    cluster = dict(_named(config["clusters"], context["cluster"])["cluster"])
    if authority := cluster.get("certificate-authority"):
        cluster["certificate-authority"] = str(admin.parent.joinpath(authority).resolve())
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "local", "cluster": cluster}],
        "users": [{"name": "service", "user": {"token": token}}],
        "contexts": [{"name": "local", "context": {"cluster": "local", "user": "service"}}],
        "current-context": "local",
    }


def _named(entries: Iterable[Mapping[str, Any]], name: str) -> Mapping[str, Any]:
    return next(each for each in entries if each["name"] == name)


def _written(path: Path, config: Object) -> Path:
    path.touch(mode=0o600)
    path.write_text(yaml.safe_dump(config))
    return path


# --- NATS ------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class BusUsers:
    """The users of one server, each with its password."""

    passwords: Mapping[str, str] = field(repr=False)

    @classmethod
    def fresh(cls) -> Self:
        return cls(passwords={user: secrets.token_hex(16) for user in ROLES})

    @property
    def server_config(self) -> dict[str, Any]:
        return authorization(self.passwords)

    def settings(self, user: str) -> dict[str, str]:
        """What a process has to be given to be this user."""
        return {"NATS_USER": user, "NATS_PASSWORD": self.passwords[user]}

    def url(self, server: str, user: str) -> str:
        """The server's URL with the user in it, for people: one variable to set."""
        return server.replace("://", f"://{user}:{self.passwords[user]}@", 1)


def environments(kubeconfigs: Mapping[str, Path], users: BusUsers | None) -> dict[str, dict[str, str]]:
    """What each service gets beside what all get. Without users of ours the bus's credentials are everybody's."""
    return {
        service: {
            **({"KUBECONFIG": str(kubeconfigs[service])} if service in kubeconfigs else {}),
            **(users.settings(service) if users else {}),
        }
        for service in MODULES
    }
