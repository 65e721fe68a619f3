"""A lender's server, shops behind a stand-in Clover, and merchants' browsers: what linking is tried on."""

import base64
import html
import re
from datetime import UTC, date, datetime, timedelta
from urllib.parse import urlencode, urlsplit

import httpx
from starlette.testclient import TestClient

from connector.api.state import ApiSettings
from connector.api.webhook_delivery import Dispatcher
from connector.config import Config
from connector.control import keys as api_keys
from connector.control.kept import with_kept
from connector.control.place import control_place
from connector.ledger import open_store
from connector.link.app import create_app
from connector.link.linking import linking_of
from connector.sandbox import Merchant, Sandbox, World
from connector.schedule.scheduler import Scheduler
from connector.sync.connect.connecting import Pace

BACK = "https://lender.example/connected"
SOLD = datetime(2026, 11, 20, 15, tzinfo=UTC)
START = date(2026, 11, 1)


async def no_sleep(_seconds):
    """Wrong links wait; tests do not."""


def shop(number=0, *, orders=3, **about):
    """A shop with some orders; its books say what they come to."""
    merchant = Merchant(id=f"MSHOP{number:08d}", name=f"Shop {number}", **about)
    world = World(merchant, seed=number + 1)
    for order in range(orders):
        world.sell(
            SOLD + timedelta(minutes=order), [(f"Tea {order}", 1100 + 7 * number + order)], tip=order * 50
        )
    return world


class Lender:
    """One server in this process. worlds: the shops of each region; time is this machine's, and can be moved."""

    def __init__(self, directory, worlds, *, base="http://testserver", regions=("na",), pkce=False, **link):
        self.ahead, self.browsers = timedelta(), 0
        self.worlds = [world for of_region in worlds for world in of_region]
        self.clovers = {
            region: Sandbox({f"unused-{region}-{n}": world for n, world in enumerate(of_region)}).start()
            for region, of_region in zip(regions, worlds, strict=True)
        }
        for region, clover in self.clovers.items():
            clover.access.client_id = f"APP{region.upper()}"
        apps = [
            {
                "region": region,
                "client_id": clover.access.client_id,
                "base_url": clover.base_url,
                **({"pkce": True} if pkce else {"client_secret": clover.access.client_secret}),
            }
            for region, clover in self.clovers.items()
        ]
        section = {
            "name": "Example Lending", "apps": apps, "redirect_url": f"{base}/link/callback", "redirects": [BACK],
            "start_date": START, "schedule": "*/30 * * * *", **link,
        }  # fmt: skip
        limits = {"requests_per_second": 10_000, "app_requests_per_second": 10_000}
        self.config = Config.model_validate(
            {"store": str(directory / "store"), "limits": limits, "link": section}
        )
        self.store = open_store(self.config.store, clock=self.now)
        # Certificates are needed by nobody here, and loading them is most of what linking a merchant costs.
        self.linking = linking_of(self.config, transport=httpx.HTTPTransport(verify=False))
        self.network = httpx.Client(verify=False)
        settings = ApiSettings(
            directory=self.store.directory, public_url=base, clock=self.now, threads=1, sleep=no_sleep
        )
        self.app = create_app(settings, self.linking)
        self.state = self.app.state.api
        self.dispatcher = Dispatcher(self.state)
        self.api = TestClient(self.app, base_url=base, headers=self.key("read", "write"))
        self.told = self.api.post("/webhooks", json={"url": "https://lender.example/told", "eventTypes": []})
        assert self.told.status_code == 201, self.told.text

    def now(self):
        return datetime.now(UTC) + self.ahead

    def close(self):
        for clover in self.clovers.values():
            clover.stop()
        self.network.close()
        self.state.close()

    @property
    def clover(self):
        return next(iter(self.clovers.values()))

    def key(self, *scopes, companies=None):
        secret = api_keys.create_key(
            self.state.control, "lender", now=self.now(), companies=companies, scopes=scopes
        )[1]
        return {"Authorization": "Basic " + base64.b64encode(secret.encode()).decode()}

    def applicant(self, name="Corner Shop"):
        """A company and its connection, as Codat's clients make them."""
        company = self.api.post("/companies", json={"name": name}).json()
        made = self.api.post(f"/companies/{company['id']}/connections", json={"platformKey": "fqly"})
        assert made.status_code == 200, made.text
        return company, made.json()

    def connection(self, connection, company):
        answer = self.api.get(f"/companies/{company['id']}/connections/{connection['id']}")
        return answer.json() if answer.status_code == 200 else None

    def browser(self, **more):
        return Browser(self, **more)

    def link(self, connection, **at_clover):
        """The whole way of one merchant; the browser at its end."""
        browser = self.browser()
        browser.open(connection["linkUrl"])
        browser.agree()
        browser.come_back(browser.at_clover(**at_clover))
        return browser

    def sync(self):
        """What a scheduler does within seconds: whatever is due, once."""
        scheduler = Scheduler(
            with_kept(self.config, control_place(self.config)),
            self.store,
            load=lambda: with_kept(self.config, control_place(self.config)),
            now=self.now,
            pace=Pace(self.config),
            begin=lambda work, *, name: work(),
        )
        while scheduler.step():
            pass
        scheduler.close()

    def events(self):
        """What the webhook would be told, oldest first: (type, payload)."""
        self.dispatcher._notice_if_new()
        rows = self.state.control.rows("SELECT event_type, body FROM outbox_events ORDER BY noted, rowid")
        return [row["event_type"] for row in rows]


class Browser:
    """A merchant's browser: it keeps cookies, follows redirects, and remembers every address it was at."""

    def __init__(self, lender, **more):
        self.lender = lender
        lender.browsers += 1
        more.setdefault("client", (f"10.0.{lender.browsers // 250}.{lender.browsers % 250}", 50_000))
        self.http = TestClient(lender.app, base_url=lender.linking.base, follow_redirects=False, **more)
        self.visited, self.answers = [], []
        self.page = None

    def go(self, url, method="GET", **more):
        """Ask, and follow redirects within the server."""
        self.visited.append(url)
        answer = self.http.request(method, url, **more)
        self.answers.append(answer)
        while answer.status_code == 303:
            answer = self.http.get(answer.headers["location"])
            self.answers.append(answer)
        self.page = answer
        return answer

    def open(self, link, **asked):
        parts = urlsplit(link)
        query = f"?{urlencode(asked)}" if asked else ""
        return self.go(f"{parts.path}{query}")

    def submit(self, path, **fields):
        """Send the form of the page that is shown."""
        found = re.search(r'name="form_token" value="([^"]+)"', self.page.text)
        token = {"form_token": html.unescape(found[1])} if found else {}
        return self.go(path, "POST", data={**token, **fields})

    def agree(self, region="na"):
        return self.submit("/link/consent", region=region)

    @property
    def leads_to(self):
        """Where the page sends the browser by itself."""
        return html.unescape(re.search(r'http-equiv="refresh" content="0;url=([^"]+)"', self.page.text)[1])

    def at_clover(self, merchant=None, **choice):
        """Clover's page: the address it sends the browser back to."""
        url = self.leads_to
        asked = dict(httpx.URL(url).params)
        if not choice:
            answer = self.lender.network.get(
                f"{url}&{urlencode({'merchant': merchant})}" if merchant else url
            )
        else:
            parts = urlsplit(url)
            body = {
                **asked,
                "merchant": merchant or self.lender.worlds[0].merchant.id,
                "decision": "agree",
                **choice,
            }
            answer = self.lender.network.post(
                f"{parts.scheme}://{parts.netloc}/oauth/v2/consent", content=urlencode(body)
            )
        assert answer.status_code == 302, answer.text
        return answer.headers["location"]

    def come_back(self, address):
        parts = urlsplit(address)
        return self.go(f"{parts.path}?{parts.query}")

    @property
    def heading(self):
        return html.unescape(re.search(r"<h1>(.+?)</h1>", self.page.text)[1])
