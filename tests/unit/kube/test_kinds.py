"""Paths of the API, and the names that must never get into one."""

import pytest

from tidegate.kube.errors import Invalid
from tidegate.kube.kinds import CLUSTER_ANALYSIS_TEMPLATE, POD, ROLLOUT, Kind


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (ROLLOUT.path(), "/apis/argoproj.io/v1alpha1/rollouts"),
        (ROLLOUT.path("shop"), "/apis/argoproj.io/v1alpha1/namespaces/shop/rollouts"),
        (ROLLOUT.path("shop", "web", "status"), "/apis/argoproj.io/v1alpha1/namespaces/shop/rollouts/web/status"),
        (POD.path("shop", "web-1", "eviction"), "/api/v1/namespaces/shop/pods/web-1/eviction"),
        (CLUSTER_ANALYSIS_TEMPLATE.path(None, "rate"), "/apis/argoproj.io/v1alpha1/clusteranalysistemplates/rate"),
        (
            Kind("traefik.io", "v1alpha1", "ingressroutes", "IngressRoute").path("a"),
            "/apis/traefik.io/v1alpha1/namespaces/a/ingressroutes",
        ),
    ],
)
def test_a_path_is_built_as_the_api_spells_it(path, expected):
    assert path == expected


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../secrets/x", "a%2fb"])
def test_a_name_that_could_reach_another_object_is_refused(name):
    with pytest.raises(Invalid, match="must be a Kubernetes name"):
        ROLLOUT.path("shop", name)
    with pytest.raises(Invalid, match="must be a Kubernetes name"):
        ROLLOUT.path(name, "web")


def test_a_name_with_a_query_is_only_a_name():
    assert ROLLOUT.path("shop", "web?x=1#y").endswith("/web%3Fx%3D1%23y")


def test_one_object_of_a_namespaced_kind_needs_its_namespace():
    with pytest.raises(Invalid, match="needs a namespace"):
        ROLLOUT.path(None, "web")
