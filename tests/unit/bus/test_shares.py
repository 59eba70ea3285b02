"""Who works on what."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.shares import owner

MEMBERS = st.sets(st.text(min_size=1), min_size=2, max_size=8)
KEYS = [f"shop/web-{number}" for number in range(200)]


@given(MEMBERS, st.text())
def test_the_owner_is_a_member_and_everyone_agrees_on_it(members, key):
    assert owner(key, members) in members
    assert owner(key, sorted(members)) == owner(key, sorted(members, reverse=True))


@given(MEMBERS)
def test_only_the_share_of_a_member_that_is_gone_moves(members):
    gone = min(members)
    before = {key: owner(key, members) for key in KEYS}
    after = {key: owner(key, members - {gone}) for key in KEYS}
    assert all(after[key] == before[key] for key in KEYS if before[key] != gone)


@given(MEMBERS, st.text(min_size=1))
def test_a_newcomer_takes_only_what_becomes_its_own(members, newcomer):
    after = {key: owner(key, members | {newcomer}) for key in KEYS}
    assert all(after[key] in (newcomer, owner(key, members)) for key in KEYS)


@pytest.mark.parametrize("count", [2, 3, 5])
def test_shares_are_about_equal(count):
    members = [f"member-{number}" for number in range(count)]
    shares = dict.fromkeys(members, 0)
    for number in range(3000):
        shares[owner(f"shop/web-{number}", members)] += 1
    assert max(shares.values()) < 1.2 * 3000 / count
