"""Whether a Rollout's pod template and a ReplicaSet's are the same one, although the API server has filled in its defaults.

Rule of this file: pure. Both templates are brought to a normal form in which everything that is a default is absent, and compared.
It answers for a ReplicaSet that carries another hash than ours, such as one the peer made before a takeover: a wrong "no" would
restart every pod, a wrong "yes" would leave an old version running. So only what the API server treats as equal is equal here.

Left out of the comparison (`argo-behaviour.md` 2.1, 5.6): the hash label, ephemeral metadata, the injected anti-affinity and the
deprecated `serviceAccount`.
"""

from collections.abc import Mapping
from typing import Any

from tidegate.keys import POD_TEMPLATE_HASH
from tidegate.quantities import canonical

Json = Mapping[str, Any]

# Defaults by place: a tuple lists values that mean "absent" (Go leaves out zero values of fields that are no pointers),
# a map goes deeper, a list of one map holds for each element.
_HTTP = {"httpGet": {"path": ("/",), "scheme": ("HTTP",)}, "grpc": {"service": ("",)}}
_PROBE = {
    "initialDelaySeconds": (0,),
    "timeoutSeconds": (0, 1),
    "periodSeconds": (0, 10),
    "successThreshold": (0, 1),
    "failureThreshold": (0, 3),
    **_HTTP,
}
_FIELD_REF = {"fieldRef": {"apiVersion": ("v1",)}, "resourceFieldRef": {"divisor": ("0",)}}
_CONTAINER = {
    "ports": [{"protocol": ("TCP",), "hostPort": (0,)}],
    "env": [{"valueFrom": _FIELD_REF}],
    "volumeMounts": [{"readOnly": (False,)}],
    "livenessProbe": _PROBE,
    "readinessProbe": _PROBE,
    "startupProbe": _PROBE,
    "lifecycle": {"postStart": _HTTP, "preStop": _HTTP},
    "terminationMessagePath": ("/dev/termination-log",),
    "terminationMessagePolicy": ("File",),
    "securityContext": {"procMount": ("Default",)},
    **dict.fromkeys(("stdin", "stdinOnce", "tty"), (False,)),
}
_FILES = {"defaultMode": (420,), "items": [_FIELD_REF]}
_PROJECTED = {"downwardAPI": {"items": [_FIELD_REF]}, "serviceAccountToken": {"expirationSeconds": (3600,)}}
_VOLUME = {
    "configMap": _FILES,
    "secret": _FILES,
    "downwardAPI": _FILES,
    "projected": {"defaultMode": (420,), "sources": [_PROJECTED]},
    "iscsi": {"iscsiInterface": ("default",), "readOnly": (False,)},
    "azureDisk": {"cachingMode": ("ReadWrite",), "fsType": ("ext4",), "kind": ("Shared",), "readOnly": (False,)},
    "rbd": {"pool": ("rbd",), "user": ("admin",), "keyring": ("/etc/ceph/keyring",), "readOnly": (False,)},
    "scaleIO": {"storageMode": ("ThinProvisioned",), "fsType": ("xfs",), "readOnly": (False,)},
    "ephemeral": {"volumeClaimTemplate": {"spec": {"volumeMode": ("Filesystem",)}}},
    **{
        kind: {"readOnly": (False,)} for kind in ("persistentVolumeClaim", "nfs", "cephfs", "cinder", "azureFile", "portworxVolume")
    },
}
_POD = {
    "containers": [_CONTAINER],
    "initContainers": [_CONTAINER],
    "volumes": [_VOLUME],
    "dnsPolicy": ("ClusterFirst",),
    "restartPolicy": ("Always",),
    "schedulerName": ("default-scheduler",),
    "terminationGracePeriodSeconds": (30,),
    "enableServiceLinks": (True,),
    **dict.fromkeys(("hostNetwork", "hostPID", "hostIPC"), (False,)),
}
# An empty selector selects everything and an absent one nothing; an empty class of storage turns dynamic provisioning off.
_EMPTY_IS_SOMETHING = frozenset({"labelSelector", "namespaceSelector", "selector", "storageClassName"})
_QUANTITIES = frozenset({"limits", "requests", "overhead"})
# In these maps the keys are the user's, and a key with an empty value is not an absent one.
_OWN_KEYS = frozenset({"labels", "annotations", "nodeSelector", "matchLabels", "volumeAttributes", "options"})
_QUANTITY = frozenset({"sizeLimit", "divisor"})
_PREFERRED, _REQUIRED = "preferredDuringSchedulingIgnoredDuringExecution", "requiredDuringSchedulingIgnoredDuringExecution"


def same_template(rollout_template: Json, replicaset_template: Json, *, ephemeral: Json | None = None) -> bool:
    """`ephemeral`: the injected labels and annotations (the ReplicaSet's annotation `rollout.argoproj.io/ephemeral-metadata`)."""
    injected = ephemeral or {}
    return _normal(rollout_template, injected) == _normal(replicaset_template, injected)


def as_written(template: Json, *, ephemeral: Json | None = None) -> dict[str, Any]:
    """A ReplicaSet's template as its user wrote it: without the hash label and what else a controller has put in."""
    written = {**template, "metadata": _own_metadata(_map(template.get("metadata")), _map(ephemeral))}
    spec = _map(template.get("spec"))
    affinity = _map(spec.get("affinity"))
    if has_injected_affinity(template):
        own = _without_empty({**affinity, "podAntiAffinity": _without_empty(_own_affinity(affinity)["podAntiAffinity"])})
        rest = {key: value for key, value in spec.items() if key != "affinity"}
        written["spec"] = {**rest, "affinity": own} if own else rest
    return written


def has_injected_affinity(template: Json) -> bool:
    anti = _map(_map(_map(template.get("spec")).get("affinity")).get("podAntiAffinity"))
    preferred = (_map(_map(each).get("podAffinityTerm")) for each in anti.get(_PREFERRED) or ())
    required = (_map(each) for each in anti.get(_REQUIRED) or ())
    return any(_injected(each) for each in (*preferred, *required))


def _own_metadata(metadata: Json, injected: Json) -> dict[str, Any]:
    """Maps that an injection has made are gone with it; what was there without one stays as it was."""
    own = dict(metadata)
    for kind in ("labels", "annotations"):
        ignored = {POD_TEMPLATE_HASH, *_map(injected.get(kind))}
        left = {key: value for key, value in _map(metadata.get(kind)).items() if key not in ignored}
        if left or not metadata.get(kind):
            own = {**own, kind: left} if kind in metadata else own
        else:
            own.pop(kind)
    return own


def _without_empty(content: Json) -> dict[str, Any]:
    return {key: value for key, value in content.items() if value not in ({}, [], None)}


def _normal(template: Json, injected: Json) -> dict[str, Any]:
    metadata, spec = dict(_map(template.get("metadata"))), dict(_map(template.get("spec")))
    metadata.pop("creationTimestamp", None)
    for kind in ("labels", "annotations"):
        ignored = {POD_TEMPLATE_HASH, *_map(injected.get(kind))}
        metadata[kind] = {key: value for key, value in _map(metadata.get(kind)).items() if key not in ignored}
    spec["serviceAccountName"] = spec.get("serviceAccountName") or spec.pop("serviceAccount", None)
    spec.pop("serviceAccount", None)
    spec["affinity"] = _own_affinity(_map(spec.get("affinity")))
    on_host = spec.get("hostNetwork") is True
    for kind in ("containers", "initContainers"):
        spec[kind] = [_container(_map(container), on_host=on_host) for container in spec.get(kind) or ()]
    spec["volumes"] = [_volume(_map(volume)) for volume in spec.get("volumes") or ()]
    return {"metadata": _stripped(metadata, None), "spec": _stripped(spec, _POD)}


def _container(container: Json, *, on_host: bool) -> dict[str, Any]:
    """The defaults that depend on another field."""
    full = _without_default_pull(container, "imagePullPolicy", "image")
    resources = _map(full.get("resources"))
    if resources.get("limits"):
        full["resources"] = {**resources, "requests": {**_map(resources["limits"]), **_map(resources.get("requests"))}}
    if on_host:  # then a host port is the container's port
        full["ports"] = [
            {**port, "hostPort": port.get("hostPort") or port.get("containerPort")} for port in full.get("ports") or ()
        ]
    return full


def _volume(volume: Json) -> Json:
    image = _map(volume.get("image"))
    return {**volume, "image": _without_default_pull(image, "pullPolicy", "reference")} if image else volume


def _without_default_pull(source: Json, policy: str, image: str) -> dict[str, Any]:
    return {key: value for key, value in source.items() if key != policy or value != _pull_policy(str(source.get(image, "")))}


def _pull_policy(image: str) -> str:
    name, _, digest = image.partition("@")
    tag = name.rpartition("/")[2].partition(":")[2] or ("" if digest else "latest")
    return "Always" if tag == "latest" else "IfNotPresent"


def _own_affinity(affinity: Json) -> Json:
    anti = dict(_map(affinity.get("podAntiAffinity")))
    anti[_PREFERRED] = [each for each in anti.get(_PREFERRED) or () if not _injected(_map(_map(each).get("podAffinityTerm")))]
    anti[_REQUIRED] = [each for each in anti.get(_REQUIRED) or () if not _injected(_map(each))]
    return {**affinity, "podAntiAffinity": anti}


def _injected(term: Json) -> bool:
    expressions = _map(term.get("labelSelector")).get("matchExpressions") or ()
    return any(_map(each).get("key") == POD_TEMPLATE_HASH for each in expressions)


def _stripped(value: Any, defaults: Any) -> Any:
    """`value` without the fields that are absent, empty or a default."""
    if isinstance(value, Mapping):
        places = defaults if isinstance(defaults, dict) else {}
        kept = {key: _field(key, each, places.get(key)) for key, each in value.items()}
        return {key: each for key, each in kept.items() if each is not None}
    if isinstance(value, list | tuple):
        inner = defaults[0] if isinstance(defaults, list) else None
        return [_stripped(each, inner) for each in value]
    return value


def _field(key: str, value: Any, defaults: Any) -> Any:
    if key in _QUANTITIES and isinstance(value, Mapping):
        value = {name: _amount(amount) for name, amount in value.items()}
    elif key in _QUANTITY:
        value = _amount(value)
    kept = value if key in _OWN_KEYS else _stripped(value, defaults)
    if kept in (None, "", {}, []) and not (key in _EMPTY_IS_SOMETHING and value is not None):
        return None
    if isinstance(defaults, tuple) and any(kept == default and type(kept) is type(default) for default in defaults):
        return None
    return kept


def _amount(value: Any) -> Any:
    try:
        return canonical(value)
    except ValueError:
        return value


def _map(value: Any) -> Json:
    return value if isinstance(value, Mapping) else {}
