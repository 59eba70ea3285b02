"""Hashes are stable over key order and over time, and fit in names and labels."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.hashing import pod_template_hash, steps_hash

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(st.characters(exclude_categories=("Cs",)), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abcdef"), inner, max_size=4),
    max_leaves=12,
)
_TEMPLATE = {"metadata": {"labels": {"app": "app"}}, "spec": {"containers": [{"name": "demo", "image": "demo:v1"}]}}


def _reversed(value):
    if isinstance(value, dict):
        return {key: _reversed(value[key]) for key in reversed(value)}
    return [_reversed(item) for item in value] if isinstance(value, list) else value


def test_the_formula_never_changes_because_that_would_roll_out_everything_at_once():
    assert (pod_template_hash(_TEMPLATE), pod_template_hash(_TEMPLATE, 0), pod_template_hash(_TEMPLATE, 1)) == (
        "8hsdf7d",
        "8hsdf7d",
        "zt8nb2k",
    )
    assert (steps_hash(None), steps_hash([{"setWeight": 20}, {"pause": {}}])) == ("8cchzpd", "jbjkpzh")


@given(st.dictionaries(st.sampled_from("abcdef"), _JSON, max_size=4))
def test_the_order_of_keys_does_not_matter(template):
    assert pod_template_hash(_reversed(template)) == pod_template_hash(template)
    assert steps_hash([_reversed(template)]) == steps_hash([template])


def test_any_change_of_a_template_changes_the_hash():
    other = {**_TEMPLATE, "spec": {"containers": [{"name": "demo", "image": "demo:v2"}]}}
    assert pod_template_hash(other) != pod_template_hash(_TEMPLATE)


def test_each_collision_count_gives_another_name_to_the_same_template():
    names = [pod_template_hash(_TEMPLATE, count) for count in range(100)]
    assert len(set(names)) == 100
    assert pod_template_hash(_TEMPLATE) == names[0]


def test_the_order_of_steps_matters_and_absent_steps_are_empty_steps():
    assert steps_hash([{"setWeight": 20}, {"pause": {}}]) != steps_hash([{"pause": {}}, {"setWeight": 20}])
    assert steps_hash(None) == steps_hash([])


@given(_JSON.map(lambda value: {"value": value}), st.none() | st.integers(0, 2**31 - 1))
def test_a_hash_is_seven_letters_of_the_safe_alphabet(template, collision_count):
    assert re.fullmatch("[bcdfghjklmnpqrstvwxz2456789]{7}", pod_template_hash(template, collision_count))


def test_ten_thousand_templates_hardly_collide():
    hashes = {pod_template_hash({"image": f"demo:v{number}"}) for number in range(10_000)}
    assert len(hashes) >= 10_000 - 2  # 32 bits: 0.01 expected pairs


@pytest.mark.parametrize("count", [-1, 2**64])
def test_a_collision_count_outside_of_64_bits_is_refused(count):
    with pytest.raises(OverflowError):
        pod_template_hash(_TEMPLATE, count)
