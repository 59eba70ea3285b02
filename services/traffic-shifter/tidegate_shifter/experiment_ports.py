"""Which port of an experiment's Service is meant where a route names a port of stable's. Pure.

The peer gives such a Service the ports of its pods' containers (`argo-behaviour.md` 10), while stable's is the users' own: 80 for
8080, say. To a port that is not there nobody gets through: a Gateway answers 500 (40 % of all requests, for two templates of 20),
Istio has no cluster for it and answers 503, and the AWS controller builds nothing of the whole Ingress.
"""

from collections.abc import Mapping
from typing import Any

from tidegate.kube.kinds import Object

Json = Mapping[str, Any]


def port_of(service: Object | None, stable: Object | None, port: int) -> int:
    """The same number if it has that; else the one that leads to the containers' port that stable's `port` leads to."""
    ports = _ports(service)
    if not ports or any(each["port"] == port for each in ports):
        return port
    target = next((each.get("targetPort", port) for each in _ports(stable) if each["port"] == port), port)
    fitting = [each["port"] for each in ports if target in (each.get("targetPort"), each["port"], each.get("name"))]
    chosen: int = fitting[0] if fitting else ports[0]["port"] if len(ports) == 1 else port
    return chosen


def _ports(service: Object | None) -> list[Json]:
    return list(((service or {}).get("spec") or {}).get("ports") or ())
