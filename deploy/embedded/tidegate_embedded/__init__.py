"""A real Kubernetes control plane on loopback, for development, tests and the demo.

`controlplane.up()` starts one, `build.binary()` makes what it runs, `testing.shared_control_plane()` shares one in a test session.
"""

from tidegate_embedded.controlplane import ControlPlane, Options, up
from tidegate_embedded.errors import ControlPlaneError

__all__ = ["ControlPlane", "ControlPlaneError", "Options", "up"]
