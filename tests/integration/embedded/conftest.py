from collections.abc import Iterator

import pytest

from tidegate_embedded import ControlPlane
from tidegate_embedded.testing import create_namespace, shared_control_plane


@pytest.fixture(scope="session")
def control_plane() -> Iterator[ControlPlane]:
    with shared_control_plane() as shared:
        yield shared


@pytest.fixture
def namespace(control_plane: ControlPlane) -> str:
    return create_namespace(control_plane)
