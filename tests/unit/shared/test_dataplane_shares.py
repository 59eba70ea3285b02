"""Judging what users of a data plane were given, and writing it down."""

from pathlib import Path

import pytest

from tidegate.testing.dataplane import is_within
from tidegate.testing.dataplane.observed import BEGIN, END, Observed, rewrite, table
from tidegate.testing.dataplane.users import CHANCE, ROUND_ROBIN


@pytest.mark.parametrize(
    ("count", "total", "share", "sigmas", "expected"),
    [
        pytest.param(200, 1000, 0.2, ROUND_ROBIN, True, id="exactly"),
        pytest.param(202, 1000, 0.2, ROUND_ROBIN, True, id="a round cut at both ends"),
        pytest.param(203, 1000, 0.2, ROUND_ROBIN, False, id="more than a round can give"),
        pytest.param(250, 1000, 0.2, CHANCE, True, id="four deviations"),
        pytest.param(270, 1000, 0.2, CHANCE, False, id="more than chance gives"),
        pytest.param(0, 400, 0.01, CHANCE, False, id="a canary that nobody meets has no share"),
        pytest.param(400, 400, 0.99, CHANCE, False, id="a stable version that nobody meets has none"),
        pytest.param(1000, 1000, 1.0, CHANCE, True, id="all"),
        pytest.param(999, 1000, 1.0, CHANCE, False, id="all but one is not all"),
        pytest.param(1, 1000, 0.0, CHANCE, False, id="one is not none"),
    ],
)
def test_a_share_is_judged_by_what_the_router_leaves_to_chance(
    count: int, total: int, share: float, sigmas: float, *, expected: bool
) -> None:
    assert is_within(count, total, share, sigmas=sigmas) is expected


ROWS = [
    Observed("traefik", "Traefik 3.7", 20, 1000, 200, 0.25),
    Observed("traefik", "Traefik 3.7", 5, 1000, 50, 1.5),
    Observed("nginx", "Traefik 3.7", 5, 1000, 51, 0.0),
]


def test_the_table_has_a_line_for_each_router_with_its_shares_in_order() -> None:
    assert table(ROWS).splitlines()[2:] == [
        "| nginx | Traefik 3.7 | 5 % | 1,000 | 5.1 % | 0.0 s |",
        "| traefik | Traefik 3.7 | 5 %, 20 % | 1,000 | 5.0 %, 20.0 % | 1.5 s |",
    ]


def test_only_what_stands_between_the_marks_is_written_anew(tmp_path: Path) -> None:
    page = tmp_path / "traffic.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    rewrite(page, ROWS)
    rewrite(page, ROWS)
    assert page.read_text() == f"before\n{BEGIN}\n{table(ROWS)}\n{END}\nafter\n"
