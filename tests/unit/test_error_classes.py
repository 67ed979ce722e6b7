"""Classes of errors say all that is said of them, and the page of codes has their rows."""

from __future__ import annotations

import inspect
from string import Formatter

import pytest

from scandock.access.principal import AccessDenied
from scandock.access.throttle import Throttled
from scandock.model.errors import OUTAGES, PUBLIC, Coded, Fault, ScandockError, Usage, Worded
from scandock.model.machine_errors import DiskFull
from scandock.model.request_errors import FieldsInvalid, RequestInvalid
from scandock.rules.notices import CODES as NOTICES
from scandock.rules.receipt_codes import ARCHIVES, ENTRIES
from scandock.services.message_errors import MailFailed
from scripts.codes import PAGE, classes, rows, written

EVERY = sorted(classes(), key=lambda made: (made.__module__, made.__name__))
SENTENCES = [made for made in EVERY if hasattr(made, "SENTENCE")]
WORDED = [made for made in EVERY if issubclass(made, Worded)]
VALUES: dict[str, str | float] = {"int": 12345, "float": 2.5, "str": "a {b} 'c'"}


def fields_of(template: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(template) if name is not None}


def arguments_of(made: type[Coded]) -> dict[str, str]:
    """The arguments of a class and the types that they are written with."""
    return {name: str(one.annotation) for name, one in inspect.signature(made).parameters.items()}


@pytest.mark.parametrize("made", SENTENCES, ids=lambda made: made.__name__)
def test_a_class_takes_what_its_sentences_have_and_says_it(made: type[Coded]) -> None:
    asked = arguments_of(made)
    assert set(asked) == fields_of(made.SENTENCE) | fields_of(made.REMEDY)
    assert set(asked.values()) <= VALUES.keys()
    values = {name: VALUES[kind] for name, kind in asked.items()}
    error = made(**values)
    assert isinstance(error, ScandockError)
    assert (error.code, error.STATUS) == (made.CODE, made.STATUS)
    assert (error.message, error.remedy) == (made.SENTENCE.format(**values), made.REMEDY.format(**values))
    assert made.SENTENCE[-1] in {".", "}", ")"}


def test_a_class_whose_sentence_is_said_where_it_is_raised_has_no_other(subtests) -> None:
    assert len(WORDED) > 50
    for made in WORDED:
        with subtests.test(made.__name__):
            assert not hasattr(made, "SENTENCE")
            error = made("It is off.", "Put it right.")
            assert (error.code, error.message, error.remedy) == (made.CODE, "It is off.", "Put it right.")
            assert made("It is off.").remedy == ("" if issubclass(made, AccessDenied) else made.REMEDY)


def test_only_bases_of_several_have_no_sentence() -> None:
    for made in EVERY:
        assert hasattr(made, "SENTENCE") or issubclass(made, Worded) or made.__subclasses__(), made


def test_a_code_means_what_its_class_says_or_has_a_row_of_receipts() -> None:
    for made in EVERY:
        assert hasattr(made, "MEANING") or made.CODE in {*ENTRIES, *ARCHIVES, *NOTICES}, made
        assert not hasattr(made, "MEANING") or made.MEANING[-1] == ".", made


def test_a_status_is_that_of_the_kind_where_a_class_has_none() -> None:
    assert (Fault.STATUS, Usage.STATUS) == (503, 400)
    assert (MailFailed("Off.").STATUS, RequestInvalid("Off.").STATUS) == (503, 400)
    assert (DiskFull("Full.").STATUS, FieldsInvalid("Off.").STATUS, Throttled(3).STATUS) == (507, 422, 429)


def test_a_fault_whose_sentence_quotes_has_one_for_people_who_upload() -> None:
    faults = {made for made in EVERY if issubclass(made, Fault)}
    codes = {made.CODE for made in faults if made.quotes}
    assert {"store_other", "privacy_key"} <= codes
    assert codes <= PUBLIC.keys() <= {made.CODE for made in faults}
    assert OUTAGES.keys() <= {made.CODE for made in faults}


def test_the_page_of_codes_is_as_it_would_be_written() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert "| `tus_locked` | 423 | Another request is sending bytes of this upload. |" in rows()["tus_locked"]
    assert written(page) == page
    with pytest.raises(ValueError, match="no class or table"):
        written(page.replace("`tus_locked`", "`tus_locket`"))
    with pytest.raises(ValueError, match="no row of tus_locked"):
        written("\n".join(line for line in page.splitlines() if "`tus_locked`" not in line))
    for row, off in (
        ("| `tus_offset` | 409 |", "| `tus_offset` | 400 |"),
        ("| `worker_lost` | The worker", "| `worker_lost` | A worker"),
        ("| `stored` | stored |", "| `stored` | kept |"),
        ("| `truncated` | entry |", "| `truncated` | |"),
        ("| `healed` | warning |", "| `healed` | held |"),
        ("| `inner_empty` | An inner", "| `inner_empty` | The inner"),
    ):
        assert row in page
        assert written(page.replace(row, off)) == page, row
