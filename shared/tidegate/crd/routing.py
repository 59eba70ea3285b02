"""Who splits the traffic: one model per router (`argo-behaviour.md` 1.2 and 9)."""

from tidegate.crd.common import FreeObject, Int32, Int64, Model, StringMap


class TLSRoute(Model):
    port: Int64 | None = None
    sni_hosts: list[str] | None = None


class TCPRoute(Model):
    port: Int64 | None = None


class IstioVirtualService(Model):
    name: str | None = None
    """Name, or name.namespace."""
    routes: list[str] | None = None
    """HTTP routes to change. Not needed if there is only one."""
    tls_routes: list[TLSRoute] | None = None
    tcp_routes: list[TCPRoute] | None = None


class IstioDestinationRule(Model):
    name: str | None = None
    canary_subset_name: str | None = None
    stable_subset_name: str | None = None
    additional_subset_names: list[str] | None = None
    """Subsets whose own weights are left alone."""


class Istio(Model):
    virtual_service: IstioVirtualService | None = None
    """Excludes virtualServices."""
    virtual_services: list[IstioVirtualService] | None = None
    """Excludes virtualService."""
    destination_rule: IstioDestinationRule | None = None


class Nginx(Model):
    stable_ingress: str | None = None
    """Excludes stableIngresses."""
    stable_ingresses: list[str] | None = None
    """Excludes stableIngress."""
    annotation_prefix: str | None = None
    """Default nginx.ingress.kubernetes.io."""
    additional_ingress_annotations: StringMap | None = None
    """Put on the canary Ingress under annotationPrefix."""
    canary_ingress_annotations: StringMap | None = None
    """Put on the canary Ingress as they are."""


class StickinessConfig(Model):
    enabled: bool | None = None
    duration_seconds: Int64 | None = None
    """Seconds, 1 to 604800."""


class ALB(Model):
    ingress: str | None = None
    """Excludes ingresses."""
    ingresses: list[str] | None = None
    """Excludes ingress."""
    service_port: Int32 | None = None
    """Required."""
    root_service: str | None = None
    """Service of the forward action. Default stableService."""
    annotation_prefix: str | None = None
    """Default alb.ingress.kubernetes.io."""
    stickiness_config: StickinessConfig | None = None


class SMI(Model):
    root_service: str | None = None
    """Service that clients call. Default stableService."""
    traffic_split_name: str | None = None
    """Default: the name of the Rollout."""


class Ambassador(Model):
    mappings: list[str] | None = None


class AppMeshVirtualService(Model):
    name: str | None = None
    routes: list[str] | None = None
    """Default: all routes."""


class AppMeshVirtualNodeRef(Model):
    name: str | None = None


class AppMeshVirtualNodeGroup(Model):
    canary_virtual_node_ref: AppMeshVirtualNodeRef | None = None
    stable_virtual_node_ref: AppMeshVirtualNodeRef | None = None


class AppMesh(Model):
    virtual_service: AppMeshVirtualService | None = None
    virtual_node_group: AppMeshVirtualNodeGroup | None = None


class Traefik(Model):
    weighted_traefik_service_name: str | None = None
    """TraefikService that holds both Services with weights."""


class ApisixRoute(Model):
    name: str | None = None
    rules: list[str] | None = None
    """Default: the rule named like the route."""


class Apisix(Model):
    route: ApisixRoute | None = None


class ManagedRoute(Model):
    name: str | None = None


class TrafficRouting(Model):
    """Routers that carry the weight; several may be set."""

    istio: Istio | None = None
    nginx: Nginx | None = None
    alb: ALB | None = None
    smi: SMI | None = None
    ambassador: Ambassador | None = None
    app_mesh: AppMesh | None = None
    traefik: Traefik | None = None
    apisix: Apisix | None = None
    plugins: FreeObject | None = None
    """Plugin name, e.g. argoproj-labs/gatewayAPI, to its own configuration."""
    managed_routes: list[ManagedRoute] | None = None
    """Header and mirror routes that steps may create, in order of priority."""
    max_traffic_weight: Int32 | None = None
    """What counts as all traffic. Default 100; nginx and plugins only."""
