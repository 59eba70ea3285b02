"""The one error of this package: everything that keeps a control plane from running ends in it, with what to do about it."""


class ControlPlaneError(RuntimeError):
    """The control plane could not be built, started or kept running."""
