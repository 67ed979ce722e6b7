from scandock.web.pages.charts import BASE, SHOWN, WIDTH, columns


def test_the_highest_month_reaches_the_top_and_pieces_stand_on_each_other():
    drawn = columns(["2026-01", "2026-02"], [("placed", [3, 1]), ("failed", [1, 0])])
    assert drawn.highest == 4
    placed, failed, later = drawn.columns
    assert placed.y + placed.height == BASE
    assert failed.y + failed.height == placed.y
    assert failed.y == 10
    assert later.height == round(placed.height / 3, 1)


def test_the_latest_months_are_shown_and_none_stands_outside():
    months = [f"{2000 + n // 12}-{n % 12 + 1:02}" for n in range(40)]
    drawn = columns(months, [("sessions", list(range(40)))])
    assert [month for month, _ in drawn.months] == months[-SHOWN:]
    assert max(one.x + one.width for one in drawn.columns) <= WIDTH


def test_nothing_makes_no_column():
    assert columns([], [("sessions", [])]).columns == ()
    assert columns(["2026-01"], [("sessions", [0])]).columns == ()
