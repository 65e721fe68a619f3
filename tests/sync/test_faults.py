"""Whatever the server does, the rows end up as those of a quiet run: nothing lost, nothing doubled.

A lively shop is read twice, a few days apart, while the server misbehaves. A run either gets everything or fails and
loads nothing; a following run without the fault sets all right.
"""

from datetime import timedelta

import pytest
from timeline_stories import LEAVES_NO_TRACE, OPENED, not_begun, tell

from connector.sandbox import faults
from connector.sandbox.shapes import PLAIN, Shapes
from connector.sandbox.world import World

DAYS = (0, 1, 2, 3, 5, 9, 12)  # what happens until the first sync
MORE_DAYS = (13, 14, 15)  # what happens between the two
FIRST = OPENED + timedelta(days=12, hours=2)
LATER = OPENED + timedelta(days=15, hours=2)


class Shop:
    """A shop with all that happens to orders: read before and after three more days."""

    def __init__(self):
        self.world = World()
        self.due = not_begun(but=LEAVES_NO_TRACE)
        for day in DAYS:
            tell(self.world, day, self.due)

    def go_on(self):
        for day in MORE_DAYS:
            tell(self.world, day, self.due)


def totals(bench):
    return {order_id: row[:6] for order_id, row in bench.orders().items()}


@pytest.fixture(scope="module")
def quiet(module_bench):
    """What two runs without faults end in: order id -> totals."""
    shop = Shop()
    bench = module_bench(shop.world)
    for at in (FIRST, LATER):
        report = bench.sync(at=at)
        assert (report.status, report.unreadable) == ("succeeded", []), report.error
        bench.check()
        if at == FIRST:
            shop.go_on()
    return totals(bench)


PASSING = {
    "500 as JSON": faults.error(500),
    "502 as a web page": faults.error(502, body="html"),
    "503 without a body": faults.error(503, body="empty"),
    "504": faults.error(504),
    "408": faults.error(408),
    "429": faults.error(429),
    "429 with a penalty": faults.error(429, retry_after=20),
    "reset": faults.reset(),
    "reset in mid-body": faults.cut_off(),
    "half of the JSON with status 200": faults.truncated(),
    "a web page with status 200": faults.html(),
    "hang": faults.hang(0.05),
    "drip": faults.drip(0.001),
    "stuck cursor": faults.stuck(),
    "empty page that says more": faults.empty_page(),
    "says more": faults.says_more(True),
    "says no more": faults.says_more(False),
    "duplicates": faults.duplicates(),
    "elements in data": faults.envelope("elements"),
    "bare array": faults.envelope("bare"),
    "giant page": faults.giant_page(500),
}


@pytest.mark.parametrize("name", PASSING)
def test_a_fault_that_strikes_now_and_then_changes_nothing(bench, quiet, name):
    """A quarter of all requests of two syncs is struck; both succeed, with the rows of a quiet run."""
    shop = Shop()
    subject = bench(shop.world)
    subject.sandbox.faults.rate(PASSING[name], probability=0.25, seed=3)
    for at in (FIRST, LATER):
        report = subject.sync(at=at)
        assert (report.status, report.unreadable) == ("succeeded", []), report.error
        if at == FIRST:
            shop.go_on()
    assert subject.sandbox.faults.injected
    assert totals(subject) == quiet


LASTING = {
    "server errors": faults.error(500),
    "web pages": faults.html(),
    "half of the JSON": faults.truncated(),
    "resets": faults.reset(),
    "rate limits": faults.error(429, retry_after=300),
    "an unknown envelope": faults.envelope("nothing"),
    "empty pages that say more": faults.empty_page(),
    "a refusal": faults.error(400),
}


PATHS = ("/v1/charges", "/v1/orders", "/v1/refunds")


@pytest.mark.parametrize(("name", "path"), [(name, PATHS[n % 3]) for n, name in enumerate(LASTING)])
def test_a_fault_that_lasts_fails_the_run_which_loads_nothing_and_the_next_run_heals(
    bench, quiet, name, path
):
    shop = Shop()
    subject = bench(shop.world)
    subject.sync(at=FIRST)
    before = subject.orders()
    cursor = subject.rows("SELECT * FROM ledger.sync_state ORDER BY ALL")
    shop.go_on()
    subject.sandbox.faults.always(LASTING[name], path=path)
    report = subject.sync(at=LATER - timedelta(hours=1))
    assert (report.status, report.exit_code) == ("failed", 1)
    assert report.error
    assert report.hint
    assert subject.orders() == before
    assert subject.rows("SELECT * FROM ledger.sync_state ORDER BY ALL") == cursor
    failed = subject.rows("SELECT status, error FROM ledger.sync_runs ORDER BY started_at DESC LIMIT 1")
    assert failed == [("failed", report.error)]

    subject.sandbox.faults.clear()
    subject.waiting.seconds += 600
    assert subject.sync(at=LATER).status == "succeeded"
    assert totals(subject) == quiet


@pytest.mark.parametrize("path", PATHS)
def test_a_list_that_is_always_empty_and_always_says_more_is_no_empty_shop(bench, path):
    """Success with 0 records would be a lie: the first sync fails, and says which list."""
    subject = bench(Shop().world)
    subject.sandbox.faults.always(faults.empty_page(), path=path)
    report = subject.sync(at=FIRST)
    assert report.status == "failed"
    assert path in report.error or path.split("/")[-1] in report.error
    assert subject.rows("SELECT count(*) FROM ledger.sync_state") == [(0,)]


SHAPES = {
    "plain": PLAIN,
    "cursor row not repeated": Shapes(cursor="exclusive"),
    "has_more missing": Shapes(has_more="missing"),
    "has_more too long": Shapes(has_more="overlong"),
    "rows in elements": Shapes(envelope="elements"),
    "full rows": Shapes(order_rows="full", refund_rows="full"),
    "charge rows without their order": Shapes(charge_rows="without_order"),
    "some charge rows without their order": Shapes(charge_rows="mixed"),
    "mixed rows": Shapes(order_rows="mixed", refund_rows="mixed"),
    "captured as text": Shapes(captured="string"),
    "captured false": Shapes(captured="false"),
    "amount_captured everywhere": Shapes(amount_captured="always"),
    "amount without tax": Shapes(order_amount="exclusive"),
    "amount with tip": Shapes(order_amount="with_tip"),
    "tip inside the charge": Shapes(charge_tip="inside"),
    "line totals": Shapes(item_amount="total"),
    "tax on lines": Shapes(tax="line"),
    "tax in a field": Shapes(tax="field"),
    "positive discounts": Shapes(discount_sign="positive"),
    "no refunds inside charges": Shapes(embedded_refunds="missing"),
    "amount_returned of items only": Shapes(amount_returned="items_only"),
    "numbers as text": Shapes(loose_types="always"),
    "nulls": Shapes(absent="null"),
    "a window of 90 days at most, shortened": Shapes(window_limit="shorten"),
    "listed five minutes late": Shapes(visibility_lag_seconds=300),
    "unknown cursor starts again": Shapes(unknown_cursor="restart"),
    "not found under 400": Shapes(not_found="under_400"),
}


@pytest.mark.parametrize("name", SHAPES)
def test_every_form_of_clovers_answers_gives_the_same_money(bench, quiet, name):
    """The books agree whatever form the server chose, and no order is lost or added."""
    shop = Shop()
    subject = bench(shop.world, shapes=SHAPES[name])
    for at in (FIRST, LATER):
        report = subject.sync(at=at)
        assert (report.status, report.unreadable) == ("succeeded", []), report.error
        if at == FIRST:
            shop.go_on()
    differences = subject.differences()
    if name == "captured false":
        # A charge that says it is not captured, and has no order to say otherwise, waits: held back, not lost.
        books = {book.order_id: book for book in shop.world.books.orders()}
        alone = {o for o in differences if o in shop.world.charges.by_id or books[o].deleted}
        waiting = subject.rows("SELECT order_id FROM ledger.held_back WHERE resolved_run IS NULL")
        assert alone <= {row[0] for row in waiting}
        differences = {o: d for o, d in differences.items() if o not in alone}
    assert differences == {}
    if name != "captured false":
        assert set(totals(subject)) == set(quiet)
