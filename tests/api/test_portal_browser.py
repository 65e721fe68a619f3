"""The portal in a real browser: what people do with it; it complains of nothing, asks nobody else, shuts nobody out."""

import shutil
from urllib.parse import urlsplit

import pytest

from connector.control import keys as api_keys
from tests.browsing import chromium, overflow, serious_violations

HOME = "/portal"
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def browser():
    with chromium() as opened:
        yield opened


class Served:
    """A portal on a port, with keys."""

    def __init__(self, url, state, store):
        self.url, self.state, self.store = url, state, store

    def secret(self, *scopes, companies="shop"):
        mine = [self.store.shop.id] if companies == "shop" else companies
        return api_keys.create_key(
            self.state.control,
            "lender",
            now=self.state.settings.clock(),
            companies=mine,
            scopes=scopes or ("read",),
        )

    @property
    def company(self):
        return f"{HOME}/companies/{self.store.ids[0]}"

    @property
    def orders(self):
        company, connection = self.store.ids
        return f"{HOME}/companies/{company}/connections/{connection}/orders"

    @property
    def pages(self):
        return {
            "companies": HOME,
            "company": self.company,
            "by day": f"{self.company}?by=day",
            "as of": f"{self.company}?asOf=2",
            "orders": self.orders,
            "wrong query": f"{self.orders}?query=x%3C%3C",
            "order": f"{self.orders}/{self.store.odd_order}",
            "runs": f"{self.company}/sync",
            "webhooks": f"{HOME}/webhooks",
            "keys": f"{HOME}/keys",
            "for programs": f"{HOME}/api",
            "not found": f"{HOME}/nothing",
        }


@pytest.fixture(scope="module")
def served(portal_store, builders, tmp_path_factory):
    from dataclasses import replace

    directory = tmp_path_factory.mktemp("browser") / "store"
    shutil.copytree(portal_store.directory, directory, symlinks=True)
    store = replace(portal_store, directory=directory)
    with builders.listening(directory, clock=lambda: builders.PORTAL_NOW) as (url, state):
        store.introduce(state)
        yield Served(url, state, store)


class Visit:
    """One person's browser. complaints: of the console. foreign: requests that left the machine. dialogs: pop-ups."""

    def __init__(self, browser, served, **more):
        self.context = browser.new_context(base_url=served.url, **more)
        self.page = self.context.new_page()
        self.complaints, self.foreign, self.dialogs = [], [], []
        self.page.on(
            "console", lambda said: self.complaints.append(said.text) if said.type == "error" else None
        )
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda asked: self._look(asked.url))
        self.page.on("dialog", lambda dialog: (self.dialogs.append(dialog.message), dialog.dismiss()))

    def _look(self, url):
        if urlsplit(url).hostname != "127.0.0.1":
            self.foreign.append(url)

    def sign_in(self, secret):
        self.page.goto(f"{HOME}/sign-in")
        self.page.fill("#key", secret)
        self.page.press("#key", "Enter")
        self.page.wait_for_url("**/portal")
        return self.page


@pytest.fixture
def visit(browser, served):
    visits = []

    def begin(**more):
        made = Visit(browser, served, **more)
        visits.append(made)
        return made

    yield begin
    for made in visits:
        made.context.close()
        assert made.foreign == []
        assert made.dialogs == []


def test_signing_in_with_a_wrong_key_and_a_right_one_and_out_again(served, visit):
    here = visit()
    page = here.page
    page.goto(served.company)
    assert "/sign-in" in page.url
    page.fill("#key", "cck_nobody_wrong")
    page.click("button.main")
    assert "not known" in page.inner_text("[role=alert]")
    _key, secret = served.secret()
    page.fill("#key", secret)
    page.press("#key", "Enter")
    page.wait_for_url(f"**{served.company}")
    assert "Juniper" in page.inner_text("h1"), "and is where they wanted to go"
    assert page.evaluate("document.cookie") == "", "no script can read the session"
    page.click("text=Sign out")
    page.wait_for_url("**/sign-in")
    page.goto(served.company)
    assert "/sign-in" in page.url
    # The browser itself notes the 401 of the wrong key; nothing else.
    assert [said for said in here.complaints if "401" not in said] == []


def test_another_company_does_not_exist_and_a_revoked_key_is_out_at_once(served, visit):
    here = visit()
    key, secret = served.secret()
    page = here.sign_in(secret)
    assert page.locator("table.companies tbody tr").count() == 1
    answer = page.goto(f"{HOME}/companies/{served.store.rival.id}")
    assert answer.status == 404
    assert "Rival Traders" not in page.content()
    api_keys.revoke_key(served.state.control, key.key_id, now=served.state.settings.clock())
    page.goto(HOME)
    assert "/sign-in" in page.url


@pytest.mark.parametrize(
    ("scheme", "width"), [("light", 1280), ("dark", 1280), ("light", 375)], ids=["light", "dark", "phone"]
)
def test_every_page_is_quiet_accessible_and_fits(served, visit, scheme, width):
    here = visit(color_scheme=scheme, viewport={"width": width, "height": 800})
    _key, secret = served.secret("read", "write", "lineage", companies=None)
    here.sign_in(secret)
    for name, path in {"sign in": f"{HOME}/sign-in", **served.pages}.items():
        here.complaints.clear()
        answer = here.page.goto(path)
        assert answer.status == {"wrong query": 400, "not found": 404}.get(name, 200), name
        expected = "the server responded with a status of 4" if answer.status >= 400 else None
        assert [said for said in here.complaints if expected is None or expected not in said] == [], name
        for summary in here.page.query_selector_all("details:not([open]) > summary"):
            summary.click()
        assert serious_violations(here.page) == [], name
        wide = overflow(here.page)
        assert wide <= 0, f"{name} scrolls sideways by {wide} px"


def test_the_keyboard_reaches_a_company_and_an_order(served, visit):
    here = visit()
    page = here.sign_in(served.secret()[1])
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "q"
    page.keyboard.type("juniper")
    page.keyboard.press("Enter")
    page.wait_for_url("**q=juniper**")
    for _ in range(30):
        page.keyboard.press("Tab")
        if "/companies/" in (page.evaluate("document.activeElement.href || ''")):
            break
    page.keyboard.press("Enter")
    page.wait_for_url(f"**{served.company}")
    page.goto(served.orders)
    page.keyboard.press("/")
    page.keyboard.type("totalRefund<0")
    page.keyboard.press("Enter")
    page.wait_for_url("**totalRefund**")
    assert here.complaints == []


def test_querying_ordering_and_paging(served, visit):
    here = visit()
    page = here.sign_in(served.secret()[1])
    page.goto(served.orders)
    first = page.locator("table.orders tbody th").all_inner_texts()
    page.click("text=Next")
    second = page.locator("table.orders tbody th").all_inner_texts()
    assert len(first) == len(second) == 50
    assert not set(first) & set(second)
    page.click("text=Previous")
    assert page.locator("table.orders tbody th").all_inner_texts() == first
    page.click("thead >> text=Total")
    page.click("thead >> text=Total")
    totals = [
        float(text.split()[0].replace(",", ""))
        for text in page.locator("table.orders tbody tr td:nth-child(4)").all_inner_texts()
    ]
    assert totals == sorted(totals, reverse=True)
    assert here.complaints == []


def test_the_slider_shows_what_was_known_and_back(served, visit):
    here = visit()
    page = here.sign_in(served.secret()[1])
    page.goto(served.company)
    now = page.inner_text("#bridge-table-USD tfoot")
    slider = page.locator("input[type=range]")
    assert slider.get_attribute("aria-valuetext").endswith("(now)")
    slider.focus()
    page.keyboard.press("ArrowLeft")
    page.wait_for_url("**asOf=2**")
    assert "As known at snapshot 2" in page.inner_text("[role=status]")
    then = page.inner_text("#bridge-table-USD tfoot")
    assert then != now
    month = page.locator("#bridge-table-USD tbody tr", has_text="2026-11")
    assert "so far" in month.inner_text()
    page.click("text=Back to now")
    assert page.inner_text("#bridge-table-USD tfoot") == now
    assert here.complaints == []


def test_without_script_the_same_pages_work(served, visit):
    here = visit(java_script_enabled=False)
    page = here.sign_in(served.secret()[1])
    page.goto(served.company)
    assert page.locator("svg.chart").count() >= 2
    page.select_option("#as-of", index=0)
    page.click("form.asof button")
    assert "As known at snapshot" in page.inner_text("[role=status]")


def test_a_total_opens_into_its_arithmetic_and_leads_to_clovers_record(served, visit):
    here = visit()
    page = here.sign_in(served.secret("read", "lineage")[1])
    page.goto(f"{served.orders}/{served.store.odd_order}")
    total = page.locator("#total-totalAmount")
    assert not total.locator("table").is_visible()
    total.locator("summary").click()
    parts = [text.replace(",", "") for text in total.locator("tbody td").all_inner_texts()]
    assert f"{sum(map(float, parts)):.2f}" == total.locator("tfoot td").inner_text().replace(",", "")
    total.locator("a", has_text="refund").click()
    record = page.locator("details[id^=record-refund]")
    assert record.locator("pre").is_visible(), "the record it leads to is open"
    assert '"amount"' in record.locator("pre").inner_text()
    assert here.complaints == []


def test_a_refresh_is_asked_for_and_its_state_follows_by_itself(served, visit):
    here = visit()
    page = here.sign_in(served.secret("read", "write")[1])
    page.goto(f"{served.company}/sync")
    page.click("text=Ask for a refresh")
    page.wait_for_selector("text=Waits for the next sync.")
    served.state.control.write("DELETE FROM refresh_requests")
    page.evaluate("window.stayed = true")
    page.wait_for_selector("text=Waits for the next sync.", state="detached", timeout=15_000)
    assert page.evaluate("window.stayed") is True, "the page was not loaded anew"
    assert here.complaints == []


def test_a_printed_company_has_its_figures_and_no_buttons(served, visit):
    here = visit()
    page = here.sign_in(served.secret()[1])
    page.goto(served.company)
    page.emulate_media(media="print")
    assert page.locator("#bridge-table-USD tfoot").is_visible()
    assert not page.locator("header.top").is_visible()
    assert not page.locator("form").first.is_visible()
    assert page.pdf()[:5] == b"%PDF-"


def test_stored_text_runs_nothing(served, visit, builders):
    here = visit()
    page = here.sign_in(served.secret("read", "write", "lineage", companies=None)[1])
    for path in served.pages.values():
        page.goto(path)
        assert page.evaluate("[...document.scripts].every(script => script.src.startsWith(location.origin))")
    page.goto(f"{served.orders}/{served.store.odd_order}")
    assert builders.MARKUP in page.inner_text("#lines-table")
