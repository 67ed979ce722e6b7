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
from scandock.web.xnat.services.columns import NUMBER, is_within, matches_pattern, to_number
from scandock.web.xnat.services.date_ranges import TimeRange, parse_day, parse_month_or_year
from scandock.web.xnat.services.search_fields import Field
from scandock.web.xnat.services.xml_parsing import document_invalid_error

_SYNONYMS: Final = {"<>": "!=", "%": "LIKE", "*": "LIKE", "CONTAINS": "LIKE", "EQUALS": "="}
"""Other words for comparisons."""
COMPARISONS: Final = (
    "=", "!=", "<", ">", "<=", ">=", "LIKE", "NOT LIKE", "IN", "NOT IN", "BETWEEN", "IS NULL", "IS NOT NULL",
)  # fmt: skip
MAX_VALUES: Final = request_limits.SEARCH_VALUES
"""Values of one comparison: databases take so many, and few more."""
MAX_RANGES: Final = 200
"""The same where each value is a condition of its own, as a day is."""
_VALUE: Final = re.compile(r"""'([^']*)'|"([^"]*)"|([^,'"]+)""")


def make_condition(field: Field, comparison: str, value: str) -> ColumnElement[bool]:
    """The condition that a field and a value make. Usage `request_invalid` where they make none."""
    operator = _SYNONYMS.get(comparison, comparison)
    if operator in ("IS", "IS NOT"):  # with the rest as the value
        operator, value = f"{operator} {' '.join(value.upper().split())}", ""
    if operator not in COMPARISONS:
        raise document_invalid_error(
            f"{field.id} is compared by {comparison[:40]!r}.", f"Right are {', '.join(COMPARISONS)}."
        )
    if operator.startswith("IS "):
        empty = _is_empty(field)
        return empty if operator == "IS NULL" else not_(empty)
    if operator.startswith("NOT "):
        return _negate(make_condition(field, operator.removeprefix("NOT "), value))
    if operator == "!=":
        return _negate(make_condition(field, "=", value))
    if operator == "IN":
        return make_any_condition(field, _split_values(value))
    if operator == "BETWEEN":
        first, _, last = value.replace(" and ", " AND ").partition(" AND ")
        return and_(_compare_value(field, ">=", first.strip()), _compare_value(field, "<=", last.strip()))
    return _compare_value(field, operator, value.strip())


def make_any_condition(field: Field, values: Sequence[str]) -> ColumnElement[bool]:
    """Whether a field is one of some values. Usage `request_invalid` for more than can be asked."""
    if len(values) > MAX_VALUES:
        many = f"{field.id} is compared with {len(values)} values."
        raise count_exceeded(
            RequestLimit.VALUES, document_invalid_error(many, f"At most {MAX_VALUES}: search in parts.")
        )
    if field.column.parse is not None and field.column.filter_value is not None:
        numbers = {field.column.parse(text) for text in values} - {None}
        return field.column.filter_value.in_(sorted(numbers, key=str)) if numbers else false()
    if field.type is FieldType.STRING:
        return _text_value(field).in_(sorted(set(values)))
    distinct_values = sorted(set(values))
    if len(distinct_values) > MAX_RANGES:
        many = f"{field.id} is compared with {len(distinct_values)} values."
        raise count_exceeded(
            RequestLimit.VALUES, document_invalid_error(many, f"At most {MAX_RANGES}: search in parts.")
        )
    if field.type is FieldType.DATE:
        return _text_value(field).in_([_parse_date(field, text) for text in distinct_values])
    if field.type in (FieldType.INTEGER, FieldType.FLOAT):
        return _number_value(field).in_([_parse_number(field, text) for text in distinct_values])
    return or_(false(), *(_compare_value(field, "=", text) for text in distinct_values))


def _compare_value(field: Field, comparison: str, value: str) -> ColumnElement[bool]:
    if comparison == "LIKE":
        return _compare_pattern(field, value)
    if field.column.parse is not None and comparison == "=":
        return make_any_condition(field, [value])
    if field.type is FieldType.MOMENT:
        return _compare_moment(_number_value(field), comparison, _parse_day(field, value))
    if field.type in (FieldType.INTEGER, FieldType.FLOAT):
        return _compare_column(_number_value(field), comparison, literal(_parse_number(field, value), Float))
    if field.type is FieldType.DATE:
        value = _parse_date(field, value)
    text = _text_value(field)
    return text == value if comparison == "=" else and_(text != "", _compare_column(text, comparison, literal(value)))


def _negate(condition: ColumnElement[bool]) -> ColumnElement[bool]:
    """That something does not hold, also where there is nothing to compare."""
    return not_(func.coalesce(condition, false()))


def _compare_column(column: ColumnElement[Any], comparison: str, value: ColumnElement[Any]) -> ColumnElement[bool]:
    condition: ColumnElement[bool] = column.op(comparison, is_comparison=True)(value)
    return condition


def _compare_moment(column: ColumnElement[Any], comparison: str, day: TimeRange) -> ColumnElement[bool]:
    """A moment compared with a stretch of time, as a day is."""
    return {
        "=": is_within(column, day),
        "<": column < day.begin,
        "<=": column < day.end,
        ">": column >= day.end,
        ">=": column >= day.begin,
    }[comparison]


def _compare_pattern(field: Field, value: str) -> ColumnElement[bool]:
    if not value.strip("%*") and value:
        return not_(_is_empty(field))
    if field.type is FieldType.MOMENT:
        time_range = parse_month_or_year(value)
        return (
            _compare_value(field, "=", value.strip("%*"))
            if time_range is None
            else is_within(_number_value(field), time_range)
        )
    return matches_pattern(_text_value(field), value, field.id)


def _is_empty(field: Field) -> ColumnElement[bool]:
    return _text_value(field) == ""


def _text_value(field: Field) -> ColumnElement[str]:
    return func.coalesce(cast(field.column.value, Text), "")


def _number_value(field: Field) -> ColumnElement[Any]:
    """A field's number, NULL where it is none: not all that is said of an age is one."""
    return to_number(field.column.value)


def _parse_number(field: Field, value: str) -> float:
    if not re.match(NUMBER, value):
        raise document_invalid_error(f"{field.id} is compared with {value[:40]!r}.", "Right is a number.")
    return float(value)


def _parse_day(field: Field, value: str) -> TimeRange:
    """A day, a minute or a second: `2026-11-24 05:44:32.5`, or `11/24/2026` as xnatpy writes a day."""
    day = parse_day(value)
    if day is None:
        raise document_invalid_error(f"{field.id} is compared with {value[:40]!r}.", "Right is a date, as 2026-11-24.")
    return day


def _parse_date(field: Field, value: str) -> str:
    return _parse_day(field, value).first_day


def _split_values(value: str) -> list[str]:
    """The values of `IN`: with commas between, in quotes or not, in parentheses or not."""
    inner = value.strip().removeprefix("(").removesuffix(")")
    return [value for match in _VALUE.findall(inner) if (value := match[0] or match[1] or match[2].strip())]
