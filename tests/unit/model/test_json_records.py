"""Records that are answers: what is answered has the keys that are described."""

from __future__ import annotations

from dataclasses import field, replace
from typing import Annotated, Any

import pytest
from pydantic import Field, TypeAdapter

from scandock.model.dataclass import dataclass
from scandock.model.json_records import JsonRecord, MaybeMoment, Moment
from scandock.model.left_out import LeftOut


@dataclass(frozen=True, kw_only=True)
class Part(JsonRecord):
    name: str


@dataclass(frozen=True, kw_only=True)
class Whole(JsonRecord):
    NESTED = ("part", "parts")

    id: int
    from_: Annotated[str | None, Field(alias="from")]
    part: Part | None
    made: Moment
    ended: MaybeMoment = 5
    parts: LeftOut[list[Part]] = None
    note: LeftOut[str] = None


WHOLE = Whole(id=1, from_=None, part=Part(name="a"), made=2)


def test_a_record_has_its_fields_in_order_and_leaves_out_what_may_be_left_out() -> None:
    assert list(WHOLE.to_json().items()) == [
        ("id", 1), ("from", None), ("part", {"name": "a"}), ("made", 2), ("ended", 5),
    ]  # fmt: skip
    more = Whole(id=1, from_="x", part=None, made=2, parts=[Part(name="b"), Part(name="c")], note="")
    assert more.to_json() == {
        "id": 1, "from": "x", "part": None, "made": 2, "ended": 5, "parts": [{"name": "b"}, {"name": "c"}], "note": "",
    }  # fmt: skip


def test_the_description_has_the_same_keys_and_no_null_for_what_is_left_out() -> None:
    said = TypeAdapter(Whole).json_schema(mode="serialization", by_alias=True)
    keys: dict[str, Any] = said["properties"]
    assert list(keys) == ["id", "from", "part", "made", "ended", "parts", "note"]
    assert keys["note"] == {"type": "string", "title": "Note"}
    assert keys["made"] == {"type": "integer", "title": "Made", "description": "Unix milliseconds"}
    assert set(said["required"]) == {"id", "from", "part", "made"}


def test_a_record_is_a_dataclass_whatever_fills_it() -> None:
    assert replace(WHOLE, note="n") == Whole(id=1, from_=None, part=Part(name="a"), made=2, note="n") != WHOLE
    assert repr(Part(name="a")) == "Part(name='a')"
    assert hash(Part(name="a")) == hash(Part(name="a"))
    WHOLE.to_json().clear()
    assert WHOLE.id == 1


def test_a_record_takes_each_of_its_fields_and_no_other() -> None:
    with pytest.raises(TypeError, match="missing 2 required keyword-only arguments: 'part' and 'made'"):
        Whole(id=1, from_=None)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="unexpected keyword argument 'other'"):
        Part(name="a", other=1)  # type: ignore[call-arg]


def test_a_field_may_say_more_of_itself() -> None:
    @dataclass(frozen=True, kw_only=True)
    class Secret(JsonRecord):
        secret: str = field(repr=False)
        left: LeftOut[str] = field(default=None, repr=False)

    assert repr(Secret(secret="x")).endswith("Secret()")
    assert Secret(secret="x").to_json() == {"secret": "x"}


def test_a_record_with_slots_is_refused() -> None:
    with pytest.raises(TypeError, match="has slots"):

        @dataclass(frozen=True, slots=True, kw_only=True)
        class Slotted(JsonRecord):
            name: str
