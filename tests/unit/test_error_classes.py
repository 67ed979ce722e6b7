"""Classes of errors say all that is said of them, and the page of codes has their rows."""

from __future__ import annotations

import inspect
from string import Formatter

import pytest

from scandock.model.errors import CodedUsage, Usage
from scandock.web.problems import STATUS, status_of
from scripts.codes import PAGE, classes, rows, written

SENTENCES = sorted((one for one in classes() if hasattr(one, "SENTENCE")), key=lambda one: one.__name__)
VALUES: dict[str, str | float] = {"int": 12345, "float": 2.5, "str": "a {b} 'c'"}


def fields_of(template: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(template) if name is not None}


def arguments_of(made: type[CodedUsage]) -> dict[str, str]:
    """The arguments of a class and the types that they are written with."""
    return {name: str(one.annotation) for name, one in inspect.signature(made).parameters.items()}


@pytest.mark.parametrize("made", SENTENCES, ids=lambda made: made.__name__)
def test_a_class_takes_what_its_sentences_have_and_says_it(made: type[CodedUsage]) -> None:
    asked = arguments_of(made)
    assert set(asked) == fields_of(made.SENTENCE) | fields_of(made.REMEDY)
    assert set(asked.values()) <= VALUES.keys()
    values = {name: VALUES[kind] for name, kind in asked.items()}
    error = made(**values)
    assert isinstance(error, Usage)
    assert (error.code, status_of(error)) == (made.CODE, made.STATUS)
    assert (error.message, error.remedy) == (made.SENTENCE.format(**values), made.REMEDY.format(**values))
    assert error.message[-1] == made.MEANING[-1] == "."


def test_only_bases_of_several_have_no_sentence() -> None:
    for one in classes():
        assert hasattr(one, "SENTENCE") or one.__subclasses__(), one
        assert hasattr(one, "MEANING"), one


def test_a_code_has_its_status_from_one_place() -> None:
    assert not {one.CODE for one in classes()} & STATUS.keys()


def test_the_page_of_codes_is_as_it_would_be_written() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert rows()["tus_locked"] == "| `tus_locked` | 423 | Another request is sending bytes of this upload. |"
    assert written(page) == page
    with pytest.raises(ValueError, match="0 rows of tus_locked"):
        written(page.replace("`tus_locked`", "`tus_locket`"))
    assert written(page.replace("| `tus_offset` | 409 |", "| `tus_offset` | 400 |")) == page
