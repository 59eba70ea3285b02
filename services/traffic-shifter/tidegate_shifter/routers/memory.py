"""A router without a cluster: it keeps each Rollout's split in this process. The reference of the port and its test double.

Named in a Rollout as the plugin `tidegate/memory`, it lets the whole suite run where no ingress or mesh is installed. With
`{table: name}` it writes into that table, which must exist, as other routers write into a route that must exist.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Final

from tidegate.messages import RouterReport, Split
from tidegate_shifter.router import Ask, Feature, Owner, Refused, Stale
from tidegate_shifter.writing import Api

NAME: Final = "tidegate/memory"


@dataclass(slots=True)
class Table:
    """What stands where a route would stand: the split, the fence of each Rollout, and how often it was written."""

    splits: dict[Owner, Split] = field(default_factory=dict)
    fences: dict[Owner, int] = field(default_factory=dict)
    writes: int = 0


class MemoryRouter:
    """See the module's docstring."""

    supports: ClassVar[frozenset[Feature]] = frozenset(Feature)
    remarks: ClassVar[Mapping[Feature, str]] = {}

    def __init__(self, kube: Api | None = None) -> None:  # noqa: ARG002 - the registry builds every router alike
        self.tables: dict[str, Table] = {}

    async def apply(self, ask: Ask) -> RouterReport:
        table = self._table(ask)
        there = table.fences.get(ask.owner, 0)
        if ask.fence < there:
            raise Stale(f"dropped: table was last changed for decision {there}, this request is of the older decision {ask.fence}")
        if table.splits.get(ask.owner) != ask.split:
            table.splits[ask.owner] = ask.split
            table.fences[ask.owner] = ask.fence
            table.writes += 1
        return await self.observed(ask)

    async def observed(self, ask: Ask) -> RouterReport:
        split = self._table(ask).splits.get(ask.owner)
        there = split == ask.split
        weight = split.canary.weight if split else None
        return RouterReport(router=NAME, state="applied" if there else "pending", weight=weight, verified=there)

    async def additional(self, ask: Ask) -> Mapping[str, int]:
        split = self._table(ask).splits.get(ask.owner)
        return {each.service or "": each.weight for each in split.additional} if split else {}

    def _table(self, ask: Ask) -> Table:
        named = ask.config.get("table")
        if named is None:
            return self.tables.setdefault(str(ask.owner), Table())
        if named not in self.tables:
            raise Refused(f"Table {ask.owner.namespace}/{named} does not exist; rollout {ask.owner} sends its traffic through it")
        return self.tables[named]
