"""Kubernetes' rules for a ReplicaSet's pod template: the common ones, in its order and with its texts (version 1.36).

What is missing here is refused by the API server when the ReplicaSet is created. Absent fields have their defaults.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from tidegate_planner.validation.containers import container_problems, init_container_problems
from tidegate_planner.validation.names import dns_label, dns_subdomain, label_key, label_value
from tidegate_planner.validation.problem import Problem, duplicate, forbidden, invalid, required, unsupported

Json = Mapping[str, Any]

_RESTART_POLICIES = ("Always", "OnFailure", "Never")
_DNS_POLICIES = ("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None")
_NEEDED = {"hostPath": "path", "secret": "secretName", "persistentVolumeClaim": "claimName", "configMap": "name"}
_VOLUME_TYPES = (  # in the order in which the second one is refused
    *("emptyDir", "hostPath", "gitRepo", "gcePersistentDisk", "awsElasticBlockStore", "secret", "nfs", "iscsi", "glusterfs"),
    *("flocker", "persistentVolumeClaim", "rbd", "cinder", "cephFS", "quobyte", "downwarAPI", "fc", "flexVolume", "configMap"),
    *("azureFile", "vsphereVolume", "photonPersistentDisk", "portworxVolume", "azureDisk", "storageos", "projected"),
    *("scaleIO", "csi", "ephemeral", "image"),
)


def template_problems(template: Json, selector: Json | None, path: str) -> Iterator[Problem]:
    metadata, spec = template.get("metadata", {}), template.get("spec", {})
    labels = metadata.get("labels", {})
    if selector is not None and not selects(selector, labels):
        yield invalid(f"{path}.metadata.labels", labels or None, "`selector` does not match template `labels`")
    yield from label_problems(labels, f"{path}.labels")
    for key in metadata.get("annotations", {}):
        yield from (invalid(f"{path}.annotations", key, text) for text in label_key(key.lower()))
    yield from _pod(spec, f"{path}.spec")
    if spec.get("ephemeralContainers"):
        yield forbidden(f"{path}.spec.ephemeralContainers", "ephemeral containers not allowed in pod template")
    if spec.get("restartPolicy", "Always") != "Always":
        yield unsupported(f"{path}.spec.restartPolicy", spec["restartPolicy"], ("Always",))
    if "activeDeadlineSeconds" in spec:
        yield forbidden(f"{path}.spec.activeDeadlineSeconds", "activeDeadlineSeconds in ReplicaSet is not Supported")


def selects(selector: Json, labels: Mapping[str, str]) -> bool:
    if any(labels.get(key) != value for key, value in selector.get("matchLabels", {}).items()):
        return False
    return all(_meets(requirement, labels) for requirement in selector.get("matchExpressions", ()))


def _meets(requirement: Json, labels: Mapping[str, str]) -> bool:
    key, values = requirement.get("key", ""), requirement.get("values", ())
    match requirement.get("operator"):
        case "In":
            return labels.get(key) in values
        case "NotIn":
            return labels.get(key) not in values
        case "Exists":
            return key in labels
        case _:
            return key not in labels


def selector_problems(selector: Json, path: str) -> Iterator[Problem]:
    yield from label_problems(selector.get("matchLabels", {}), f"{path}.matchLabels")
    for index, requirement in enumerate(selector.get("matchExpressions", ())):
        yield from _requirement(requirement, f"{path}.matchExpressions[{index}]")


def _requirement(requirement: Json, here: str) -> Iterator[Problem]:
    operator, values = requirement.get("operator", ""), requirement.get("values", ())
    if operator in ("In", "NotIn"):
        if not values:
            yield required(f"{here}.values", "must be specified when `operator` is 'In' or 'NotIn'")
    elif operator in ("Exists", "DoesNotExist"):
        if values:
            yield forbidden(f"{here}.values", "may not be specified when `operator` is 'Exists' or 'DoesNotExist'")
    else:
        yield invalid(f"{here}.operator", operator, "not a valid selector operator")
    key = requirement.get("key", "")
    yield from (invalid(f"{here}.key", key, text) for text in label_key(key))
    for index, value in enumerate(values):
        yield from (invalid(f"{here}.values[{index}]", value, text) for text in label_value(value))


def label_problems(labels: Mapping[str, str], path: str) -> Iterator[Problem]:
    for key, value in labels.items():
        yield from (invalid(path, key, text) for text in label_key(key))
        yield from (invalid(path, value, text) for text in label_value(value))


def _pod(spec: Json, here: str) -> Iterator[Problem]:
    volumes: set[str] = set()
    yield from _volumes(spec.get("volumes", ()), f"{here}.volumes", volumes)
    containers = spec.get("containers", ())
    yield from container_problems(containers, f"{here}.containers", volumes)
    names = {container.get("name", "") for container in containers}
    yield from init_container_problems(spec.get("initContainers", ()), f"{here}.initContainers", volumes, names)
    policy, dns = spec.get("restartPolicy") or "Always", spec.get("dnsPolicy") or "ClusterFirst"
    if policy not in _RESTART_POLICIES:
        yield unsupported(f"{here}.restartPolicy", policy, _RESTART_POLICIES)
    if dns not in _DNS_POLICIES:
        yield unsupported(f"{here}.dnsPolicy", dns, _DNS_POLICIES)
    yield from label_problems(spec.get("nodeSelector", {}), f"{here}.nodeSelector")
    yield from _name(spec, here, "serviceAccountName")
    deadline = spec.get("activeDeadlineSeconds")
    if deadline is not None and deadline < 1:
        yield invalid(f"{here}.activeDeadlineSeconds", deadline, "must be between 1 and 2147483647, inclusive")
    for name in ("hostname", "subdomain", "priorityClassName"):
        yield from _name(spec, here, name)


def _name(spec: Json, here: str, field: str) -> Iterator[Problem]:
    name = spec.get(field, "")
    rule = dns_label if field in ("hostname", "subdomain") else dns_subdomain
    yield from (invalid(f"{here}.{field}", name, text) for text in (rule(name) if name else ()))


def _volumes(volumes: list[Json], path: str, sound: set[str]) -> Iterator[Problem]:
    """Adds the names that a container may mount to `sound`: those of volumes without problems."""
    for index, volume in enumerate(volumes):
        here, name = f"{path}[{index}]", volume.get("name", "")
        found = list(_volume_source(volume, here))
        found += [invalid(f"{here}.name", name, text) for text in dns_label(name)] if name else [required(f"{here}.name")]
        if name in sound:
            found.append(duplicate(f"{here}.name", name))
        if not found:
            sound.add(name)
        yield from found


def _volume_source(volume: Json, here: str) -> Iterator[Problem]:
    first, *others = [kind for kind in _VOLUME_TYPES if kind in volume] or ["emptyDir"]
    needed = _NEEDED.get(first)
    if needed and not volume[first].get(needed):
        yield required(f"{here}.{first}.{needed}")
    yield from (forbidden(f"{here}.{kind}", "may not specify more than 1 volume type") for kind in others)
