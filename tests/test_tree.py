"""Nested structures, by Keras's names."""

from __future__ import annotations

from collections import OrderedDict, defaultdict, deque, namedtuple

import pytest

from deepcore import tree

Point = namedtuple("Point", ["x", "y"])
Other = namedtuple("Other", ["x", "y"])


def same(a, b):
    """Equal, in equal types, all the way down."""
    assert type(a) is type(b)
    assert a == b
    if isinstance(a, dict):
        assert list(a) == list(b)
        for key in a:
            same(a[key], b[key])
    elif isinstance(a, list | tuple | deque):
        for x, y in zip(a, b, strict=True):
            same(x, y)


NESTED = {"b": [1, (2, None)], "a": Point(3, deque([4], 9)), "c": OrderedDict(z=5, y=6)}


def test_flatten_goes_by_sorted_keys_and_by_the_order_of_ordered_dictionaries():
    assert tree.flatten(NESTED) == [3, 4, 1, 2, None, 5, 6]
    assert tree.flatten(7) == [7]
    assert tree.flatten([[], {}, ()]) == []
    assert tree.flatten_with_path(NESTED) == [
        (("a", 0), 3),
        (("a", 1, 0), 4),
        (("b", 0), 1),
        (("b", 1, 0), 2),
        (("b", 1, 1), None),
        (("c", "z"), 5),
        (("c", "y"), 6),
    ]
    assert tree.flatten_with_path(7) == [((), 7)]


def test_pack_sequence_as_is_the_inverse_of_flatten():
    packed = tree.pack_sequence_as(NESTED, range(10, 17))
    same(packed, {"b": [12, (13, 14)], "a": Point(10, deque([11], 9)), "c": OrderedDict(z=15, y=16)})
    assert packed["a"].y.maxlen == 9
    assert tree.pack_sequence_as(0, iter([5])) == 5
    same(tree.pack_sequence_as(defaultdict(list, b=0, a=0), "xy"), defaultdict(list, b="y", a="x"))


@pytest.mark.parametrize(
    ("structure", "flat", "kind", "said"),
    [
        ([1, 2], 1, TypeError, "iterable of leaves; got 1"),
        ([1, 2], [1], ValueError, "Too few leaves: the structure holds 2, flat_sequence 1"),
        (1, [1, 2], ValueError, "Too many leaves: the structure holds 1, flat_sequence 2"),
    ],
)
def test_what_cannot_be_packed(structure, flat, kind, said):
    with pytest.raises(kind, match=said):
        tree.pack_sequence_as(structure, flat)


def test_is_nested():
    for nested in ([], (), {}, Point(1, 2), deque(), OrderedDict(), defaultdict(int)):
        assert tree.is_nested(nested)
    for leaf in (None, 1, "ab", {1, 2}, range(3)):
        assert not tree.is_nested(leaf)


def test_map_structure():
    same(
        tree.map_structure(lambda x: (x or 0) * 2, NESTED),
        {
            "b": [2, (4, 0)],
            "a": Point(6, deque([8], 9)),
            "c": OrderedDict(z=10, y=12),
        },
    )
    same(tree.map_structure(lambda x, y: x - y, [5, {"a": 7}], [1, {"a": 2}]), [4, {"a": 5}])
    assert tree.map_structure(lambda x: x + 1, [1, None], none_is_leaf=False) == [2, None]
    assert tree.map_structure(lambda x: x is None, [1, None]) == [False, True]
    # Dictionaries of every kind match by their keys, whatever their order.
    same(tree.map_structure(lambda x, y: (x, y), {"a": 1, "b": 2}, OrderedDict(b=4, a=3)), {"a": (1, 3), "b": (2, 4)})
    # What stands beside a leaf is given as it is.
    assert tree.map_structure(lambda x, y: (x, y), [1], [[2, 3]]) == [(1, [2, 3])]


def test_map_structure_up_to():
    assert tree.map_structure_up_to([None, {"a": None}], len, [[1, 1], {"a": (2, 2, 2)}]) == [2, {"a": 3}]
    assert tree.map_structure_up_to(None, sum, [1, 2]) == 3
    assert tree.map_structure_up_to([0], lambda x, y: x + y, [[1]], [[2]]) == [[1, 2]]
    with pytest.raises(ValueError, match="don't have the same nested structure"):
        tree.map_structure_up_to([[0]], len, [1])


@pytest.mark.parametrize(
    ("a", "b", "said"),
    [
        ([1], (1,), r"expected a list .*, got a tuple"),
        ((1, 2), (1,), r"arity mismatch, expected a tuple with a number of 2 elements"),
        ([], 1, r"expected a list .*, got a leaf \(int\)"),
        (1, [], r"expected a leaf \(int\), got a list"),
        (Point(1, 2), Other(1, 2), r"expected a namedtuple Point .*, got a namedtuple Other"),
        (Point(1, 2), (1, 2), r"expected a namedtuple Point .*, got a tuple"),
        ({"a": 1}, {"b": 1}, r"expected a dict with the keys \['a'\], got a dict with the keys \['b'\]"),
        ({"a": 1}, {"a": 1, "b": 2}, r"arity mismatch"),
        ([1, [2]], [1, [2, 3]], r"arity mismatch"),
    ],
)
def test_structures_that_are_not_the_same(a, b, said):
    with pytest.raises(ValueError, match=said):
        tree.assert_same_structure(a, b)


def test_structures_that_are_the_same():
    tree.assert_same_structure([1, {"a": (2,)}], ["x", {"a": (None,)}])
    tree.assert_same_structure({"a": 1, "b": 2}, OrderedDict(b=1, a=2))
    tree.assert_same_structure(1, None)
    with pytest.warns(DeprecationWarning, match="check_types has no effect"):
        tree.assert_same_structure([1], [2], check_types=False)


def test_paths():
    tree.assert_same_paths([1, (2,)], (1, [3]))
    tree.assert_same_paths(Point(1, 2), [3, 4])
    with pytest.raises(ValueError, match=r"only a has \[\(1,\)\], only b has \[\(1, 0\)\]"):
        tree.assert_same_paths([0, 1], [0, [1]])


def test_what_cannot_be_mapped():
    with pytest.raises(TypeError, match="must be callable; got 'bad'"):
        tree.map_structure("bad", [1])
    with pytest.raises(ValueError, match="at least one structure"):
        tree.map_structure(len)
    with pytest.raises(ValueError, match="at least one structure"):
        tree.map_structure_up_to([0], len)
    with pytest.raises(ValueError, match="are None, and some are not"):
        tree.map_structure(lambda x, y: x, [None], [1], none_is_leaf=False)
    with pytest.raises(TypeError, match="must be callable"):
        tree.traverse(None, [1])


def test_traverse_visits_the_whole_before_its_parts_or_after():
    structure, visited = [(1, 2), {"b": [3], "a": 4}], []
    same(tree.traverse(visited.append, structure), structure)
    assert visited == [structure, (1, 2), 1, 2, {"b": [3], "a": 4}, 4, [3], 3]
    visited.clear()
    tree.traverse(visited.append, structure, top_down=False)
    assert visited == [1, 2, (1, 2), 4, 3, [3], {"b": [3], "a": 4}, structure]


def test_traverse_replaces_parts():
    def tuples(x):
        return sum(x) if isinstance(x, tuple) else None

    assert tree.traverse(tuples, [(1, 2), [(3,)]]) == [3, [3]]
    assert tree.traverse(lambda x: tree.MAP_TO_NONE if x == 1 else None, [1, (1, 2)]) == [None, (None, 2)]
    # From below, a part is replaced before the whole is asked for.
    assert tree.traverse(lambda x: x * 10 if isinstance(x, int) else tuples(x), [(1, 2), 3], top_down=False) == [30, 30]


def test_shapes_are_leaves_of_map_shape_structure():
    shapes = {"x": (2, None), "y": [(3,), [4, 5]], "z": ()}
    assert tree.map_shape_structure(lambda shape: len(shape), shapes) == {"x": 2, "y": [1, 2], "z": 0}


def test_lists_to_tuples():
    same(tree.lists_to_tuples([1, {"a": [2, [3]]}, Point([4], 5)]), (1, {"a": (2, (3,))}, Point((4,), 5)))
