"""What `#`, `#index` and `#acc` mean while a predicate runs."""

from dataclasses import dataclass
from typing import Any

from tidegate_analyzer.expression.errors import ExpressionError


@dataclass(slots=True)
class Scope:
    items: list[Any]
    index: int = 0
    accumulated: Any = None

    def pointer(self, name: str) -> Any:
        match name:
            case "":
                return self.items[self.index]
            case "index":
                return self.index
            case "acc":
                return self.accumulated
        raise ExpressionError(f"unknown pointer #{name}")
