"""Whom metric providers may call, worked out from a host's name and the addresses behind it."""

import pytest

from tidegate.outbound import Reach

LISTED = ("prometheus.monitoring.svc", "*.datadoghq.com", "10.0.0.0/8", "169.254.170.23")


@pytest.mark.parametrize(
    ("host", "addresses", "is_allowed"),
    [
        pytest.param("prometheus.monitoring.svc", ["192.168.0.1"], True, id="a name"),
        pytest.param("Prometheus.Monitoring.svc.", ["192.168.0.1"], True, id="a name, however written"),
        pytest.param("api.datadoghq.com", ["8.8.8.8"], True, id="below a domain"),
        pytest.param("datadoghq.com", ["8.8.8.8"], False, id="the domain itself is not below it"),
        pytest.param("evil-datadoghq.com", ["8.8.8.8"], False, id="only looks like it"),
        pytest.param("anything.test", ["10.1.2.3"], True, id="an address in a network"),
        pytest.param("anything.test", ["::ffff:10.1.2.3"], True, id="the same, written as IPv6"),
        pytest.param("anything.test", ["10.1.2.3", "8.8.8.8"], False, id="one of its addresses is not"),
        pytest.param("example.test", ["8.8.8.8"], False, id="not listed"),
        pytest.param("api.datadoghq.com", ["169.254.169.254"], False, id="a listed name that leads to the metadata service"),
        pytest.param("169.254.170.23", ["169.254.170.23"], True, id="a link-local address the owner has listed"),
    ],
)
def test_a_list_allows_what_it_names_and_nothing_else(host, addresses, is_allowed):
    assert (Reach(LISTED).refusal(host, addresses) == "") is is_allowed


def test_without_a_list_all_but_metadata_services_may_be_called():
    assert Reach().refusal("example.test", ["8.8.8.8"]) == ""
    assert "metadata" in Reach().refusal("example.test", ["169.254.169.254"])
    assert Reach(metadata=True).refusal("example.test", ["169.254.169.254"]) == ""
