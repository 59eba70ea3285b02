"""Kubernetes' rules for containers in a pod template: the common ones, in its order and with its texts (version 1.36)."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from tidegate.quantities import canonical, quantity
from tidegate_planner.validation.names import dns_label, label_key, port_name, port_number, variable_name
from tidegate_planner.validation.problem import (
    Problem,
    duplicate,
    forbidden,
    invalid,
    negative,
    not_found,
    required,
    unsupported,
)

Json = Mapping[str, Any]

_PULL_POLICIES = ("Always", "IfNotPresent", "Never")
_MESSAGE_POLICIES = ("File", "FallbackToLogsOnError")
_PROTOCOLS = ("SCTP", "TCP", "UDP")
_PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
_HANDLERS = ("exec", "httpGet", "tcpSocket", "grpc")
_PROBE_NUMBERS = ("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold")
_COMPUTE = ("cpu", "memory", "ephemeral-storage")


def container_problems(containers: Sequence[Json], path: str, volumes: Collection[str]) -> Iterator[Problem]:
    if not containers:
        yield required(path)
    seen: set[str] = set()
    for index, container in enumerate(containers):
        here, name = f"{path}[{index}]", container.get("name", "")
        yield from _common(container, here, volumes)
        if name in seen:
            yield duplicate(f"{here}.name", name)
        seen.add(name)
        for kind in _PROBES:
            yield from _probe(container.get(kind), f"{here}.{kind}", kind)
    yield from _host_ports(containers, path)


def init_container_problems(
    containers: Sequence[Json], path: str, volumes: Collection[str], taken: Collection[str]
) -> Iterator[Problem]:
    """`taken`: the names of the regular containers."""
    seen = set(taken)
    for index, container in enumerate(containers):
        here, name = f"{path}[{index}]", container.get("name", "")
        yield from _common(container, here, volumes)
        if name in seen:
            yield duplicate(f"{here}.name", name)
        seen |= {name} - {""}
        if container.get("restartPolicy") == "Always":  # a sidecar
            for kind in _PROBES:
                yield from _probe(container.get(kind), f"{here}.{kind}", kind)
            continue
        text = "may not be set for init containers without restartPolicy=Always"
        yield from (forbidden(f"{here}.{kind}", text) for kind in ("lifecycle", *_PROBES) if kind in container)


def _common(container: Json, here: str, volumes: Collection[str]) -> Iterator[Problem]:
    name = container.get("name", "")
    yield from (invalid(f"{here}.name", name, text) for text in dns_label(name)) if name else [required(f"{here}.name")]
    if not container.get("image"):
        yield required(f"{here}.image")
    yield from _one_of(container, here, "terminationMessagePolicy", _MESSAGE_POLICIES)
    yield from _ports(container.get("ports", ()), f"{here}.ports")
    for index, variable in enumerate(container.get("env", ())):
        yield from _variable(variable, f"{here}.env[{index}]")
    yield from _mounts(container.get("volumeMounts", ()), f"{here}.volumeMounts", volumes)
    yield from _one_of(container, here, "imagePullPolicy", _PULL_POLICIES)
    yield from _resources(container.get("resources", {}), f"{here}.resources")


def _one_of(container: Json, here: str, field: str, supported: Sequence[str]) -> Iterator[Problem]:
    value = container.get(field)
    if value and value not in supported:
        yield unsupported(f"{here}.{field}", value, supported)


def _ports(ports: Sequence[Json], path: str) -> Iterator[Problem]:
    seen: set[str] = set()
    for index, port in enumerate(ports):
        here, name = f"{path}[{index}]", port.get("name", "")
        complaints = port_name(name) if name else []
        yield from (invalid(f"{here}.name", name, text) for text in complaints)
        if name and not complaints and name in seen:
            yield duplicate(f"{here}.name", name)
        seen.add(name)
        if not port.get("containerPort"):
            yield required(f"{here}.containerPort")
        for field in ("containerPort", "hostPort"):
            number = port.get(field, 0)
            yield from (invalid(f"{here}.{field}", number, text) for text in (port_number(number) if number else ()))
        yield from _one_of(port, here, "protocol", _PROTOCOLS)


def _host_ports(containers: Sequence[Json], path: str) -> Iterator[Problem]:
    seen: set[str] = set()
    for index, container in enumerate(containers):
        for number, port in enumerate(container.get("ports", ())):
            if not port.get("hostPort"):
                continue
            place = f"{port.get('protocol') or 'TCP'}/{port.get('hostIP', '')}/{port['hostPort']}"
            if place in seen:
                yield duplicate(f"{path}[{index}].ports[{number}].hostPort", place)
            seen.add(place)


def _variable(variable: Json, here: str) -> Iterator[Problem]:
    name = variable.get("name", "")
    if not name:
        yield required(f"{here}.name")
    yield from (invalid(f"{here}.name", name, text) for text in variable_name(name))
    if "valueFrom" not in variable:
        return
    sources = len(variable["valueFrom"])
    if not sources:
        text = "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`"
        yield invalid(f"{here}.valueFrom", "", text)
    elif variable.get("value"):
        yield invalid(f"{here}.valueFrom", "", "may not be specified when `value` is not empty")
    elif sources > 1:
        yield invalid(f"{here}.valueFrom", "", "may not have more than one field specified at a time")


def _mounts(mounts: Sequence[Json], path: str, volumes: Collection[str]) -> Iterator[Problem]:
    seen: set[str] = set()
    for index, mount in enumerate(mounts):
        here, name, place = f"{path}[{index}]", mount.get("name", ""), mount.get("mountPath", "")
        if not name:
            yield required(f"{here}.name")
        if name not in volumes:
            yield not_found(f"{here}.name", name)
        if not place:
            yield required(f"{here}.mountPath")
        if place in seen:
            yield invalid(f"{here}.mountPath", place, "must be unique")
        seen.add(place)
        if mount.get("subPath", "").startswith("/"):
            yield invalid(f"{path}.subPath", mount["subPath"], "must be a relative path")
        if ".." in mount.get("subPath", "").split("/"):
            yield invalid(f"{path}.subPath", mount["subPath"], "must not contain '..'")


def _resources(resources: Json, path: str) -> Iterator[Problem]:
    limits, requests = resources.get("limits", {}), resources.get("requests", {})
    for name, value in limits.items():
        yield from _resource(name, value, f"{path}.limits[{name}]")
    for name, value in requests.items():
        yield from _resource(name, value, f"{path}.requests[{name}]")
        yield from _within_limit(name, value, limits.get(name), path)


def _resource(name: str, value: float | str, here: str) -> Iterator[Problem]:
    complaints = label_key(name)
    yield from (invalid(here, name, text) for text in complaints)
    if "/" not in name and name not in _COMPUTE and not name.startswith("hugepages-"):
        if not complaints:
            yield invalid(here, name, "must be a standard resource type or fully qualified")
        yield invalid(here, name, "must be a standard resource for containers")
    try:
        number = quantity(value)
    except ValueError as error:
        yield invalid(here, value, str(error))
        return
    if number < 0:
        yield invalid(here, canonical(value), "must be greater than or equal to 0")
    if _extended(name) and number.denominator != 1:
        yield invalid(here, canonical(value), "must be an integer")


def _within_limit(name: str, request: float | str, limit: float | str | None, path: str) -> Iterator[Problem]:
    overcommitted = not _extended(name) and not name.startswith("hugepages-")
    if limit is None:
        if not overcommitted:
            yield required(f"{path}.limits", "Limit must be set for non overcommitable resources")
        return
    try:
        above = quantity(request) - quantity(limit)
    except ValueError:
        return  # said where it stands
    if above and not overcommitted:
        yield invalid(f"{path}.requests", canonical(request), f"must be equal to {name} limit of {canonical(limit)}")
    elif above > 0:
        yield invalid(f"{path}.requests", canonical(request), f"must be less than or equal to {name} limit of {canonical(limit)}")


def _extended(name: str) -> bool:
    return "/" in name and "kubernetes.io/" not in name


def _probe(probe: Json | None, here: str, kind: str) -> Iterator[Problem]:
    if probe is None:
        return
    handlers = [name for name in _HANDLERS if name in probe]
    if handlers:
        yield from _handler(handlers[0], probe[handlers[0]], f"{here}.{handlers[0]}")
        yield from (forbidden(f"{here}.{name}", "may not specify more than 1 handler type") for name in handlers[1:])
    else:
        yield required(here, "must specify a handler type")
    for name in _PROBE_NUMBERS:
        yield from negative(f"{here}.{name}", probe.get(name))
    grace = probe.get("terminationGracePeriodSeconds")
    if grace is not None and grace <= 0:
        yield invalid(f"{here}.terminationGracePeriodSeconds", grace, "must be greater than 0")
    if kind == "readinessProbe":
        if grace is not None:
            yield invalid(f"{here}.terminationGracePeriodSeconds", grace, "must not be set for readinessProbes")
    elif probe.get("successThreshold", 0) not in (0, 1):  # 0 has the default, 1
        yield invalid(f"{here}.successThreshold", probe["successThreshold"], "must be 1")


def _handler(name: str, action: Json, here: str) -> Iterator[Problem]:
    if name == "exec":
        if not action.get("command"):
            yield required(f"{here}.command")
        return
    port = action.get("port", 0)
    complaints = port_name(port) if isinstance(port, str) else port_number(port)
    yield from (invalid(f"{here}.port", port, text) for text in complaints)
    if name == "httpGet" and (action.get("scheme") or "HTTP") not in ("HTTP", "HTTPS"):
        yield unsupported(f"{here}.scheme", action["scheme"], ("HTTP", "HTTPS"))
