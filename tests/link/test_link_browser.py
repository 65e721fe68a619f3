"""A merchant's way in a real browser, a lender's with Codat's own client, and nothing in the configuration touched."""

import base64
from contextlib import closing
from datetime import timedelta
from decimal import Decimal
from urllib.parse import parse_qs, urlsplit

import pytest
from codat_lending import CodatLending
from codat_lending.models import shared as lending_shared
from codat_platform import CodatPlatform
from codat_platform.models import shared as platform_shared
from playwright.sync_api import Error as PlaywrightError

from connector.control import keys as api_keys
from connector.control.kept import kept_companies
from connector.ledger.interface import now_utc
from connector.sandbox import Sandbox
from tests.browsing import chromium, overflow, serious_violations
from tests.link.lender import shop
from tests.link.serving import NEXT, Ear, Serving, eventually

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def browser():
    with chromium() as opened:
        yield opened


@pytest.fixture(scope="module")
def clover():
    with Sandbox({f"unused-{n}": shop(n) for n in range(8)}).start() as sandbox:
        sandbox.access.asks = True
        yield sandbox


@pytest.fixture(scope="module")
def served(tmp_path_factory, clover):
    with closing(Ear()) as ear:
        server = Serving(tmp_path_factory.mktemp("served"), clover, ear).start()
        yield Lending(server)
        server.stop()


class Lending:
    """A lender with Codat's clients."""

    def __init__(self, server):
        self.server, self.ear = server, server.ear
        with closing(server.control()) as control:
            secret = api_keys.create_key(control, "lender", now=now_utc(), scopes=("read", "write"))[1]
        header = "Basic " + base64.b64encode(secret.encode()).decode()
        url = server.url
        self.platform = CodatPlatform(security=platform_shared.Security(auth_header=header), server_url=url)
        self.lending = CodatLending(security=lending_shared.Security(auth_header=header), server_url=url)

    def applicant(self, name):
        company = self.platform.companies.create(request={"name": name})
        made = self.platform.connections.create(
            request={"company_id": company.id, "request_body": {"platform_key": "fqly"}}
        )
        return company, made

    def status(self, company, connection):
        found = self.platform.connections.get(
            request={"company_id": company.id, "connection_id": connection.id}
        )
        return found.status.value


class Merchant:
    """A browser at a link. landed: every address it was at that is not of Clover's."""

    def __init__(self, browser, **more):
        self.context = browser.new_context(**more)
        self.page = self.context.new_page()
        self.complaints, self.answers = [], []
        self.page.on("console", lambda said: self._said(said) if said.type == "error" else None)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on(
            "request", lambda asked: self.answers.append(asked.url) if "/link/callback" in asked.url else None
        )

    def _said(self, said):
        """The sandbox's own page has no icon, which the browser says."""
        if "favicon" not in said.location["url"]:
            self.complaints.append(said.text)

    def open(self, link):
        self.page.goto(link)
        return self

    def agree(self):
        self.page.click("text=Go on to Clover")
        self.page.wait_for_url("**/oauth/v2/authorize**")

    def at_clover(self, number, *, decision="Connect", answer="plain"):
        self.page.select_option("select[name=merchant]", f"MSHOP{number:08d}")
        self.page.select_option("select[name=answer]", answer)
        self.page.click(f"button:text-is('{decision}')")
        self.page.wait_for_url("**/link")

    def agreed_but_held_back(self, number):
        """Agree at Clover; the address of its answer, to which the browser has not gone yet."""
        sent = []

        def hold(route):
            answer = route.fetch(max_redirects=0)
            sent.append(answer.headers["location"])
            route.fulfill(status=200, content_type="text/html", body="<h1>held</h1>")

        self.page.route("**/oauth/v2/consent", hold)
        self.page.select_option("select[name=merchant]", f"MSHOP{number:08d}")
        self.page.click("button:text-is('Connect')")
        self.page.wait_for_selector("text=held")
        self.page.unroute("**/oauth/v2/consent")
        return sent[0]

    @property
    def heading(self):
        return self.page.inner_text("h1")


@pytest.fixture
def merchant(browser):
    visits = []

    def begin(**more):
        visits.append(Merchant(browser, **more))
        return visits[-1]

    yield begin
    for one in visits:
        one.context.close()


def is_quiet(here):
    assert serious_violations(here.page) == []
    assert overflow(here.page) <= 0
    assert here.page.evaluate("document.cookie") == ""
    assert here.page.evaluate("document.scripts.length") == 0


def test_from_the_company_to_the_first_order_without_an_operator(served, clover, merchant):
    """The acceptance: SDK, browser, consent, webhooks, orders whose sums are the shop's books."""
    told = served.platform.webhooks.create_consumer(
        request={"url": f"{served.ear.url}/told", "event_types": [], "disabled": False}
    )
    assert told is not None
    before = served.server.path.read_bytes()
    company, connection = served.applicant("Quay Street Tea")
    here = merchant(viewport={"width": 375, "height": 800})
    here.open(connection.link_url)
    assert here.page.url == f"{served.server.url}/link", "the token has left the address"
    assert "Quay Street Tea" in here.page.inner_text("main")
    is_quiet(here)
    here.agree()
    here.at_clover(0)
    assert here.page.url == f"{served.server.url}/link", "and so has the code"
    assert here.heading == "Your shop is connected"
    is_quiet(here)
    token = urlsplit(connection.link_url).path.rpartition("/")[2]
    history = here.context.new_cdp_session(here.page).send("Page.getNavigationHistory")["entries"]
    assert len(history) > 2
    assert not [one["url"] for one in history if "code=" in one["url"] or token in one["url"]]
    here.page.click("text=Back to Example Lending")
    here.page.wait_for_selector("text=Back at the lender")
    [(landed, referrer)] = [one for one in served.ear.landed if company.id in one[0]]
    assert urlsplit(landed).path == NEXT
    assert parse_qs(urlsplit(landed).query) == {
        "companyId": [company.id], "connectionId": [connection.id], "status": ["linked"],
    }  # fmt: skip
    assert referrer is None
    assert here.complaints == []
    eventually(
        lambda: "read.completed.initial" in served.ear.types(company.id),
        "the lender is told that the data is there",
    )
    types = served.ear.types(company.id)
    assert {"connection.created", "connection.connected", "read.completed"} <= set(types)
    assert types.index("connection.connected") < types.index("read.completed.initial")
    orders = served.lending.sales.orders.list(
        request={"company_id": company.id, "connection_id": connection.id}
    ).results
    [books] = clover.world.books.totals().values()
    assert sum((order.total_amount for order in orders), Decimal(0)) * 100 == books.total_amount_minor
    status = served.platform.companies.get(request={"company_id": company.id}).data_connections[0]
    assert status.status.value == "Linked"
    assert status.last_sync
    assert served.server.path.read_bytes() == before, "nobody touched the configuration"


def test_consent_refused_and_then_given(served, merchant):
    company, connection = served.applicant("Changed Mind")
    here = merchant().open(connection.link_url)
    here.agree()
    here.at_clover(1, decision="Do not connect")
    assert here.heading == "Nothing was connected"
    is_quiet(here)
    assert served.status(company, connection) == "PendingAuth"
    here.page.click("button:text-is('Begin again')")
    here.agree()
    here.at_clover(1)
    assert here.heading == "Your shop is connected"
    eventually(lambda: "connection.failed" in served.ear.types(company.id), "the refusal was told")


def test_a_code_that_is_brought_twice_counts_once(served, clover, merchant):
    _company, connection = served.applicant("Twice")
    here = merchant().open(connection.link_url)
    here.agree()
    here.at_clover(2)
    exchanges = clover.access.exchanges
    here.page.goto(here.answers[0])
    assert here.heading == "Your shop is connected"
    assert clover.access.exchanges == exchanges


def test_the_state_of_another_browser(served, merchant):
    company, connection = served.applicant("Two Browsers")
    mine, other = merchant().open(connection.link_url), merchant().open(connection.link_url)
    mine.agree()
    answer = mine.agreed_but_held_back(3)
    other.page.goto(answer)
    assert other.heading == "This did not work"
    assert served.status(company, connection) == "PendingAuth"
    mine.page.goto(answer)
    assert mine.heading == "Your shop is connected"


def test_a_link_that_has_expired(served, merchant):
    company, connection = served.applicant("Too Late")
    old = served.server.linking.address(company.id, connection.id, now_utc() - timedelta(days=20))
    here = merchant().open(old)
    assert "expired" in here.page.inner_text("main")
    assert served.status(company, connection) == "PendingAuth"


def test_a_link_in_two_tabs_and_in_two_browsers(served, merchant):
    company, connection = served.applicant("Two Tabs")
    here, beside = merchant().open(connection.link_url), merchant().open(connection.link_url)
    tab = here.context.new_page()
    tab.goto(connection.link_url)
    here.agree()
    here.at_clover(4)
    assert here.heading == "Your shop is connected"
    tab.reload()
    assert tab.inner_text("h1") == "Your shop is connected"
    beside.agree_again = beside.page.reload()
    assert beside.heading == "Your shop is connected", "and asks nothing more"
    assert served.status(company, connection) == "Linked"


def test_clover_left_something_out(served, merchant):
    _company, connection = served.applicant("No Profile")
    here = merchant(viewport={"width": 375, "height": 800}).open(connection.link_url)
    here.agree()
    here.at_clover(5, answer="no_profile")
    assert here.heading == "One more question"
    is_quiet(here)
    here.page.select_option("#timezone", "America/Denver")
    here.page.click("button:text-is('Connect')")
    assert here.heading == "Your shop is connected"


def test_a_process_that_is_killed_before_the_exchange_loses_nothing(tmp_path, clover, merchant):
    """Where else it may be killed: test_linking.py."""
    with closing(Ear()) as ear:
        server = Serving(tmp_path, clover, ear).start(CONNECTOR_FAILPOINT="link.taken")
        lending = Lending(server)
        company, connection = lending.applicant("Interrupted")
        here = merchant().open(connection.link_url)
        here.agree()
        answer = here.agreed_but_held_back(6)
        with pytest.raises(PlaywrightError):
            here.page.goto(answer)
        assert server.died()
        assert kept_companies(server.config.store_directory) == [], "nothing is half-linked"
        server.start()
        assert lending.status(company, connection) == "PendingAuth"
        here.page.goto(answer)
        assert here.heading == "This answer was used already"
        here.page.click("button:text-is('Begin again')")
        here.agree()
        here.at_clover(6)
        assert here.heading == "Your shop is connected"
        assert lending.status(company, connection) == "Linked"
        server.stop()


def test_the_servers_log_holds_no_token_and_no_code(served, clover):
    """After everything above, with --verbose."""
    log = (served.server.directory / "server.log").read_text()
    assert "link.connected" in log
    access = clover.access
    secrets = {*access.grants, *access._refresh_tokens, access.client_secret}
    assert not [secret for secret in secrets if secret in log and not secret.startswith("unused")]
    assert "code=" not in log
    assert "/link/A" not in log
