"""Which plugins are declared, in the form that people have in their clusters."""

import pytest

from tidegate.plugins import declared

PEERS = """
- name: "argoproj-labs/sample-step"
  location: "file://./my-custom-plugin"
- name: acme/approval
  location: https://example.com/plugin
  sha256: 08f588b1c799a37bbe8d0fc74cc1b1492dd70b2c
  disabled: true
"""


def test_the_peers_config_map_is_read_as_it_is() -> None:
    assert declared(PEERS) == {"argoproj-labs/sample-step": True, "acme/approval": False}


def test_bare_names_will_do_and_nothing_declares_nothing() -> None:
    assert declared("[acme/approval, acme/my.router-2]") == {"acme/approval": True, "acme/my.router-2": True}
    assert declared("") == {}


@pytest.mark.parametrize(
    "text", ["name: acme/approval", "acme/approval", "[approval]", "[acme/my_step]", "[{location: x}]", "[1]", "[a: {"]
)
def test_what_is_no_list_of_names_is_refused_with_what_would_be_right(text: str) -> None:
    with pytest.raises(ValueError, match="list of plugins"):
        declared(text)
