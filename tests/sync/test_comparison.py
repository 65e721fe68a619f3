from datetime import UTC, date, datetime

from connector.sync.reconcile.comparison import Reason, SourceRecord, compare

DAY = date(2026, 11, 19)
OLD = datetime(2026, 11, 19, 12, tzinfo=UTC)
SEEN_UNTIL = datetime(2026, 11, 20, tzinfo=UTC)


def charge(record_id, amount, created=OLD):
    return SourceRecord("charge", record_id, created, DAY, "USD", amount)


def check(listed, stored, held_back=None):
    found = compare(listed, {r.key: r for r in stored}, seen_until=SEEN_UNTIL, held_back=held_back or {})
    return found.lines[DAY, "charges", "USD"], found.differences


def test_what_is_stored_as_clover_shows_it_agrees():
    line, differences = check([charge("A", 100), charge("B", 50)], [charge("A", 100), charge("B", 50)])
    assert (line.clover_count, line.clover_minor, line.stored_minor) == (2, 150, 150)
    assert line.agrees
    assert differences == []


def test_a_row_listed_twice_counts_once():
    line, _ = check([charge("A", 100), charge("A", 100)], [charge("A", 100)])
    assert line.clover_minor == 100


def test_a_record_that_should_be_stored_and_is_not_is_unexplained():
    line, differences = check([charge("A", 100)], [])
    assert not line.agrees
    assert line.unexplained_minor == 100
    assert [d.reason for d in differences] == [Reason.MISSING]


def test_new_changed_held_back_and_deleted_records_are_named_and_explained():
    new = charge("N", 10, SEEN_UNTIL)
    line, differences = check(
        [new, charge("C", 120), charge("H", 30)],
        [charge("C", 100), charge("D", 7)],
        held_back={("charge", "H"): "unreadable"},
    )
    assert {d.record_id: d.reason for d in differences} == {
        "N": Reason.NOT_YET_SEEN,
        "C": Reason.CHANGED_SINCE,
        "H": Reason.HELD_BACK,
        "D": Reason.DELETED,
    }
    assert line.explained_minor == 10 + 20 + 30 - 7 == line.clover_minor - line.stored_minor
    assert line.agrees
