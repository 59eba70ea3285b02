"""A real data plane for tests: a network of our own, processes behind pods, users who ask, and the routers between them."""

from tidegate.testing.dataplane.network import Network, NetworkUnavailable
from tidegate.testing.dataplane.pods import with_a_process
from tidegate.testing.dataplane.processes import Background, pods_in
from tidegate.testing.dataplane.users import Answers, Users, is_within

__all__ = ["Answers", "Background", "Network", "NetworkUnavailable", "Users", "is_within", "pods_in", "with_a_process"]
