"""Our dataclass does as the library's, but that what is frozen may be changed."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from dataclasses import FrozenInstanceError, asdict, field, fields, replace
from typing import Any

import pytest

from scandock.model.dataclass import dataclass

OPTIONS = [
    {},
    {"frozen": True},
    {"slots": True},
    {"frozen": True, "slots": True},
    {"frozen": True, "slots": True, "kw_only": True},
    {"slots": True, "eq": False},
    {"frozen": True, "repr": False},
]


def make_both(fill, options):
    """A class made by the library, and one made by ours; `fill` gives its attributes, anew for each."""
    classes: list[type[Any]] = []
    for decorate in (dataclasses.dataclass, dataclass):
        names = fill()
        classes.append(decorate(**options)(type("Made", (), names)))
    return classes


def person():
    return {
        "__annotations__": {"name": "str", "age": "int", "secret": "str", "seen": "list[str]", "note": "str"},
        "age": 7,
        "secret": field(default="s", repr=False),
        "seen": field(default_factory=list, hash=False),
        "note": field(default="", compare=False),
        "__doc__": "A person.",
    }


def hash_of(one):
    try:
        return hash(one) if "__eq__" in vars(type(one)) else "by identity"
    except TypeError as error:
        return str(error)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_objects_are_shown_compared_and_hashed_as_the_library_has_it(options):
    facts = []
    for cls in make_both(person, options):
        one, same, noted, other = cls(name="a"), cls(name="a"), cls(name="a", note="n"), cls(name="a", age=8)
        facts.append(
            {
                "repr": repr(one) if options.get("repr", True) else "as any object",
                "equal": (one == same, one == noted, one == other, one == 3, one != same),
                "not its own": one.__eq__(3),
                "hash": hash_of(one),
                "hash of one that is equal": hash_of(noted),
                "fields": [(f.name, f.default, f.kw_only) for f in fields(cls)],
                "match": cls.__match_args__,
                "slots": getattr(cls, "__slots__", None),
                "replaced": replace(one, age=9) == cls(name="a", age=9),
                "asdict": asdict(one),
                "copy": copy.copy(one) == one,
                "doc": cls.__doc__,
                "params": cls.__dataclass_fields__.keys(),
            }
        )
    assert facts[0] == facts[1]


@pytest.mark.parametrize("names", [(), ("one",), ("one", "two")])
def test_any_number_of_fields_is_compared(names):
    def fill():
        return {"__annotations__": dict.fromkeys(names, "int"), "__doc__": "Some."}

    for cls in make_both(fill, {"frozen": True, "slots": True}):
        low, same, high = (cls(*(n for _ in names)) for n in (1, 1, 2))
        assert low == same
        assert hash(low) == hash(same)
        assert (low == high) is (not names)
        assert repr(low) == f"Made({', '.join(f'{name}=1' for name in names)})"


@pytest.mark.parametrize("frozen", [False, True])
def test_methods_of_a_class_stay(frozen):
    def fill():
        return {
            "__annotations__": {"x": "int"},
            "__eq__": lambda self, other: self.x % 10 == other.x % 10,
            "__hash__": lambda self: self.x % 10,
            "__repr__": lambda self: f"<{self.x}>",
            "__doc__": "Its own.",
        }

    for cls in make_both(fill, {"frozen": frozen, "slots": True}):
        assert cls(3) == cls(13)
        assert hash(cls(13)) == 3
        assert repr(cls(13)) == "<13>"


@pytest.mark.parametrize(("frozen", "is_hashed"), [(False, False), (True, True)])
def test_an_own_comparison_without_a_hash_is_hashed_by_the_fields_where_it_is_frozen(frozen, is_hashed):
    def fill():
        return {"__annotations__": {"x": "int"}, "__eq__": lambda self, other: True, "__hash__": None, "__doc__": "E."}

    for cls in make_both(fill, {"frozen": frozen}):
        assert (cls.__hash__ is not None) is is_hashed


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    a: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Derived(Base):
    b: list[Base] = field(default_factory=list)


def test_a_class_that_inherits_compares_all_and_equals_no_other():
    assert Derived(a=1) != Derived(a=2)
    assert Derived(a=1) == Derived(a=1)
    assert Derived(a=1) != Base(a=1)
    assert pickle.loads(pickle.dumps(Derived(a=1, b=[Base(a=2)]))) == Derived(a=1, b=[Base(a=2)])


def test_an_object_that_contains_itself_is_shown():
    one = Derived(a=1)
    one.b.append(one)
    assert repr(one) == "Derived(a=1, b=[...])"


def test_what_is_frozen_is_so_for_type_checkers_alone():
    library, ours = make_both(lambda: {"__annotations__": {"x": "int"}, "__doc__": "X."}, {"frozen": True})
    with pytest.raises(FrozenInstanceError):
        library(1).x = 2
    one = ours(1)
    one.x = 2
    assert one.x == 2
