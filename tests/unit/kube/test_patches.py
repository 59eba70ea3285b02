"""Merge patches (RFC 7396, its appendix A) and JSON patches (RFC 6902)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.kube.patches import PatchFailed, json_patched, merge_difference, merged, pointer

values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text("ab/~", max_size=2),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab/~", max_size=2), inner, max_size=3),
    max_leaves=12,
)
without_nulls = st.recursive(
    st.booleans() | st.integers(-9, 9) | st.text("ab", max_size=2),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", max_size=2), inner, max_size=3),
    max_leaves=12,
)
objects = st.dictionaries(st.text("ab", max_size=2), without_nulls, max_size=4)


@pytest.mark.parametrize(
    ("target", "patch", "expected"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"a": "b"}, ["c"], ["c"]),
        ({"a": "foo"}, None, None),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_a_merge_patch_does_what_the_rfc_lists(target, patch, expected):
    assert merged(target, patch) == expected


@given(objects, objects)
def test_the_difference_of_two_objects_turns_one_into_the_other(old, new):
    assert merged(old, merge_difference(old, new)) == new


@given(objects)
def test_equal_objects_have_no_difference(obj):
    assert merge_difference(obj, obj) == {}


def test_a_null_counts_as_absent():
    assert merge_difference({"a": 1, "b": None}, {"a": None, "b": None}) == {"a": None}


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        ({"op": "add", "path": "/b", "value": 2}, {"a": [1, 2], "b": 2}),
        ({"op": "add", "path": "/a/1", "value": 9}, {"a": [1, 9, 2]}),
        ({"op": "add", "path": "/a/-", "value": 9}, {"a": [1, 2, 9]}),
        ({"op": "add", "path": "/a/2", "value": 9}, {"a": [1, 2, 9]}),
        ({"op": "add", "path": "", "value": {"x": 1}}, {"x": 1}),
        ({"op": "remove", "path": "/a/0"}, {"a": [2]}),
        ({"op": "replace", "path": "/a/0", "value": 9}, {"a": [9, 2]}),
        ({"op": "replace", "path": "/a", "value": 9}, {"a": 9}),
        ({"op": "move", "from": "/a/0", "path": "/b"}, {"a": [2], "b": 1}),
        ({"op": "copy", "from": "/a", "path": "/b"}, {"a": [1, 2], "b": [1, 2]}),
        ({"op": "test", "path": "/a", "value": [1, 2]}, {"a": [1, 2]}),
    ],
)
def test_a_json_patch_operation_does_what_the_rfc_says(operation, expected):
    assert json_patched({"a": [1, 2]}, [operation]) == expected


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "test", "path": "/a", "value": [1]},
        {"op": "test", "path": "/b", "value": 1},
        {"op": "remove", "path": "/b"},
        {"op": "remove", "path": "/a/2"},
        {"op": "replace", "path": "/b", "value": 1},
        {"op": "add", "path": "/a/3", "value": 1},
        {"op": "add", "path": "/b/c", "value": 1},
        {"op": "add", "path": "a", "value": 1},
        {"op": "frob", "path": "/a"},
    ],
)
def test_what_cannot_be_done_fails_and_changes_nothing(operation):
    target = {"a": [1, 2]}
    with pytest.raises(PatchFailed):
        json_patched(target, [{"op": "add", "path": "/x", "value": 1}, operation])
    assert target == {"a": [1, 2]}


@given(
    st.dictionaries(st.text("ab/~", min_size=1, max_size=3), values, max_size=4), st.text("ab/~", min_size=1, max_size=3), values
)
def test_a_pointer_reaches_any_key_whatever_it_holds(target, key, value):
    patched = json_patched(target, [{"op": "add", "path": pointer(key), "value": value}])
    assert patched == {**target, key: value}


def test_a_pointer_escapes_slashes_and_tildes():
    assert pointer("metadata", "annotations", "a/b~c", 0) == "/metadata/annotations/a~1b~0c/0"
