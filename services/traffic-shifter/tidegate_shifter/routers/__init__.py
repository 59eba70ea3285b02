"""The registry of traffic routers, and nothing else: the key under `trafficRouting` (or the plugin's name) -> its class."""

from collections.abc import Callable, Mapping
from typing import Final

from tidegate_shifter.router import TrafficRouter
from tidegate_shifter.routers import alb, ambassador, apisix, app_mesh, gateway_api, istio, memory, nginx, smi, traefik
from tidegate_shifter.writing import Api

ROUTERS: Final[Mapping[str, Callable[[Api], TrafficRouter]]] = {
    alb.NAME: alb.Alb,
    ambassador.NAME: ambassador.Ambassador,
    apisix.NAME: apisix.Apisix,
    app_mesh.NAME: app_mesh.AppMesh,
    gateway_api.NAME: gateway_api.GatewayApi,
    istio.NAME: istio.Istio,
    memory.NAME: memory.MemoryRouter,
    nginx.NAME: nginx.Nginx,
    smi.NAME: smi.Smi,
    traefik.NAME: traefik.Traefik,
}
