"""Comparisons of a search as conditions of a query: by the type of what is compared, and in one form for all databases.

A field that has no value, and one that is an empty text, are the same: `IS NULL`, and not equal to anything.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, Float, Text, and_, cast, false, func, literal, not_, or_

from scandock.model import request_limits
from scandock.model.limit_counts import RequestLimit, count_exceeded
from scandock.rules.field_types import FieldType
from scandock.web.xnat.services.columns import NUMBER, like, number_of, within
from scandock.web.xnat.services.days import Stretch, beginning_with, one_of_days
from scandock.web.xnat.services.search_fields import Field
from scandock.web.xnat.services.xml_reading import off

_SAME: Final = {"<>": "!=", "%": "LIKE", "*": "LIKE", "CONTAINS": "LIKE", "EQUALS": "="}
"""Other words for comparisons."""
KNOWN: Final = (
    "=", "!=", "<", ">", "<=", ">=", "LIKE", "NOT LIKE", "IN", "NOT IN", "BETWEEN", "IS NULL", "IS NOT NULL",
)  # fmt: skip
MAX_VALUES: Final = request_limits.SEARCH_VALUES
"""Values of one comparison: databases take so many, and few more."""
MAX_RANGES: Final = 200
"""The same where each value is a condition of its own, as a day is."""
_VALUE: Final = re.compile(r"""'([^']*)'|"([^"]*)"|([^,'"]+)""")


def compare(field: Field, comparison: str, value: str) -> ColumnElement[bool]:
    """The condition that a field and a value make. Usage `request_invalid` where they make none."""
    said = _SAME.get(comparison, comparison)
    if said in ("IS", "IS NOT"):  # with the rest as the value
        said, value = f"{said} {' '.join(value.upper().split())}", ""
    if said not in KNOWN:
        raise off(f"{field.id} is compared by {comparison[:40]!r}.", f"Right are {', '.join(KNOWN)}.")
    if said.startswith("IS "):
        empty = _is_empty(field)
        return empty if said == "IS NULL" else not_(empty)
    if said.startswith("NOT "):
        return _not(compare(field, said.removeprefix("NOT "), value))
    if said == "!=":
        return _not(compare(field, "=", value))
    if said == "IN":
        return any_of(field, _listed(value))
    if said == "BETWEEN":
        first, _, last = value.replace(" and ", " AND ").partition(" AND ")
        return and_(_one(field, ">=", first.strip()), _one(field, "<=", last.strip()))
    return _one(field, said, value.strip())


def any_of(field: Field, values: Sequence[str]) -> ColumnElement[bool]:
    """Whether a field is one of some values. Usage `request_invalid` for more than can be asked."""
    if len(values) > MAX_VALUES:
        many = f"{field.id} is compared with {len(values)} values."
        raise count_exceeded(RequestLimit.VALUES, off(many, f"At most {MAX_VALUES}: search in parts."))
    if field.column.parse is not None and field.column.sought is not None:
        numbers = {field.column.parse(one) for one in values} - {None}
        return field.column.sought.in_(sorted(numbers, key=str)) if numbers else false()
    if field.type is FieldType.STRING:
        return _text(field).in_(sorted(set(values)))
    different = sorted(set(values))
    if len(different) > MAX_RANGES:
        many = f"{field.id} is compared with {len(different)} values."
        raise count_exceeded(RequestLimit.VALUES, off(many, f"At most {MAX_RANGES}: search in parts."))
    if field.type is FieldType.DATE:
        return _text(field).in_([_date(field, one) for one in different])
    if field.type in (FieldType.INTEGER, FieldType.FLOAT):
        return _number(field).in_([_float(field, one) for one in different])
    return or_(false(), *(_one(field, "=", one) for one in different))


def _one(field: Field, comparison: str, value: str) -> ColumnElement[bool]:
    if comparison == "LIKE":
        return _like(field, value)
    if field.column.parse is not None and comparison == "=":
        return any_of(field, [value])
    if field.type is FieldType.MOMENT:
        return _against(_number(field), comparison, _day(field, value))
    if field.type in (FieldType.INTEGER, FieldType.FLOAT):
        return _ordered(_number(field), comparison, literal(_float(field, value), Float))
    if field.type is FieldType.DATE:
        value = _date(field, value)
    text = _text(field)
    return text == value if comparison == "=" else and_(text != "", _ordered(text, comparison, literal(value)))


def _not(condition: ColumnElement[bool]) -> ColumnElement[bool]:
    """That something does not hold, also where there is nothing to compare."""
    return not_(func.coalesce(condition, false()))


def _ordered(one: ColumnElement[Any], comparison: str, value: ColumnElement[Any]) -> ColumnElement[bool]:
    found: ColumnElement[bool] = one.op(comparison, is_comparison=True)(value)
    return found


def _against(one: ColumnElement[Any], comparison: str, day: Stretch) -> ColumnElement[bool]:
    """A moment compared with a stretch of time, as a day is."""
    return {
        "=": within(one, day),
        "<": one < day.begin,
        "<=": one < day.end,
        ">": one >= day.end,
        ">=": one >= day.begin,
    }[comparison]


def _like(field: Field, value: str) -> ColumnElement[bool]:
    if not value.strip("%*") and value:
        return not_(_is_empty(field))
    if field.type is FieldType.MOMENT:
        starts = beginning_with(value)
        return _one(field, "=", value.strip("%*")) if starts is None else within(_number(field), starts)
    return like(_text(field), value, field.id)


def _is_empty(field: Field) -> ColumnElement[bool]:
    return _text(field) == ""


def _text(field: Field) -> ColumnElement[str]:
    return func.coalesce(cast(field.column.value, Text), "")


def _number(field: Field) -> ColumnElement[Any]:
    """A field's number, NULL where it is none: not all that is said of an age is one."""
    return number_of(field.column.value)


def _float(field: Field, value: str) -> float:
    if not re.match(NUMBER, value):
        raise off(f"{field.id} is compared with {value[:40]!r}.", "Right is a number.")
    return float(value)


def _day(field: Field, value: str) -> Stretch:
    """A day, a minute or a second: `2026-11-24 05:44:32.5`, or `11/24/2026` as xnatpy writes a day."""
    found = one_of_days(value)
    if found is None:
        raise off(f"{field.id} is compared with {value[:40]!r}.", "Right is a date, as 2026-11-24.")
    return found


def _date(field: Field, value: str) -> str:
    return _day(field, value).first_day


def _listed(value: str) -> list[str]:
    """The values of `IN`: with commas between, in quotes or not, in parentheses or not."""
    inner = value.strip().removeprefix("(").removesuffix(")")
    return [value for one in _VALUE.findall(inner) if (value := one[0] or one[1] or one[2].strip())]
