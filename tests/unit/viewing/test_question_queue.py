"""Whose question is next, without any decoder."""

from __future__ import annotations

import pytest

from scandock.viewing.question_queue import Question, QuestionQueue, QueueFull, Requester


def of(account: int | None = None, session: str = "", *, address: str = "", heavy: bool = False) -> Question:
    return Question(Requester(account, address, session), heavy=heavy)


def names(turns: QuestionQueue[Question], *, heavy: bool = True) -> list[tuple[object, str]]:
    """Who is asked, in order, until nobody may be."""
    order: list[tuple[object, str]] = []
    while (question := turns.next(heavy=heavy)) is not None:
        order.append((question.asker.who, question.asker.session))
    return order


def line(*questions: Question, most: int = 400) -> QuestionQueue[Question]:
    turns: QuestionQueue[Question] = QuestionQueue(most)
    for question in questions:
        turns.add(question)
    return turns


def test_those_of_one_session_are_asked_as_they_came():
    first, second = of(1, "a"), of(1, "a")
    turns = line(first, second)
    assert [turns.next(heavy=True), turns.next(heavy=True), turns.next(heavy=True)] == [first, second, None]


def test_who_asks_much_lets_others_in_between():
    assert names(line(*[of(1, "a") for _ in range(4)], of(2, "b"), of(2, "b"))) == [
        (1, "a"), (2, "b"), (1, "a"), (2, "b"), (1, "a"), (1, "a"),
    ]  # fmt: skip


def test_sessions_of_one_account_take_turns_within_its_own():
    turns = line(of(1, "a"), of(1, "a"), of(1, "b"), of(2, "c"), of(2, "c"))
    assert names(turns) == [(1, "a"), (2, "c"), (1, "b"), (2, "c"), (1, "a")]


def test_visitors_come_last_and_take_turns_by_address():
    turns = line(of(address="x"), of(address="x"), of(address="y"), of(1), of(1))
    assert names(turns) == [(1, ""), (1, ""), ("x", ""), ("y", ""), ("x", "")]


def test_who_was_asked_lately_lets_go_before_who_was_not():
    turns = line(of(1))
    turns.next(heavy=True)
    turns.add(of(1))
    turns.add(of(2))
    assert names(turns) == [(2, ""), (1, "")]


def test_heavy_ones_wait_while_none_may_be_asked():
    turns = line(of(1, heavy=True), of(1), of(2))
    assert names(turns, heavy=False) == [(1, ""), (2, "")]
    assert not turns.has_light()
    assert names(turns) == [(1, "")]


def test_one_that_is_put_back_keeps_its_place():
    turns = line(first := of(1, "a"), of(1, "a"))
    assert turns.next(heavy=True) is first
    turns.add(first)
    assert turns.next(heavy=True) is first


def test_a_full_line_is_left_by_who_has_the_most_in_it():
    turns = line(*(mine := [of(1) for _ in range(3)]), of(2), most=4)
    assert turns.add(of(2)) is mine[-1]
    with pytest.raises(QueueFull):
        turns.add(of(1))
    with pytest.raises(QueueFull):
        turns.add(of(2))  # two of each are fair


def test_a_full_line_is_left_by_visitors_for_who_is_signed_in():
    turns = line(visitor := of(address="x"), of(1), of(1), most=3)
    assert turns.add(of(1)) is visitor
    with pytest.raises(QueueFull):
        turns.add(of(address="y"))


def test_visitors_leave_a_full_line_for_each_other_alone():
    turns = line(*(crowd := [of(address="x") for _ in range(3)]), most=3)
    assert turns.add(of(address="y")) is crowd[-1]
    assert turns.add(of(1)) is crowd[-2]


def test_fifty_browsers_at_one_address_all_have_their_place():
    turns = line(*[of(address="x", session=str(n % 50)) for n in range(50 * 6)])
    order = names(turns)
    assert [session for _, session in order[:50]] == [str(n) for n in range(50)]
    assert len(order) == 300
