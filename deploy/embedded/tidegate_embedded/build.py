"""Placeholder."""
import os
from collections.abc import Callable
from pathlib import Path
def binary(*, report: Callable[[str], None] = print) -> Path:
    return Path(os.environ["TIDEGATE_CONTROLPLANE"])
