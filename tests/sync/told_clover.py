"""A Clover that says exactly what it is told, record by record: for contradictions that no real shop should make."""

from datetime import UTC, date, datetime, timedelta
from email.utils import format_datetime
from urllib.parse import unquote

import httpx
from sync_bench import FAST, Bench

from connector.clover.lists.streams import STREAMS
from connector.config import Company, Config, Connection

AT = datetime(2026, 11, 25, 12, tzinfo=UTC)
LISTS = ("orders", "charges", "refunds")


class ToldClover:
    """rows: list -> id -> row. by_id: (list, id) -> the answer by id where it differs, None is 404.

    listed_at: id -> milliseconds by which the lists find a row that has no usable ``created``. unlisted: ids that only
    a read by id shows. platform: path below the merchant -> v3's answer. asked: the paths of all requests.
    """

    def __init__(self, orders=(), charges=(), refunds=(), **extra):
        self.rows = {stream.path.rpartition("/")[2]: {} for stream in STREAMS.values()}
        self.by_id, self.listed_at, self.platform, self.unlisted = {}, {}, {}, set()
        self.asked = []
        self.date = None  # its clock, set by the bench
        self.tell(orders=orders, charges=charges, refunds=refunds, **extra)

    def tell(
        self,
        orders=None,
        charges=None,
        refunds=None,
        by_id=None,
        listed_at=None,
        platform=None,
        unlisted=None,
    ):
        """Replace what is said; what is left out stays as it was."""
        for name, rows in zip(LISTS, (orders, charges, refunds), strict=True):
            if rows is not None:
                self.rows[name] = {row["id"]: row for row in rows}
        for name, given in (by_id or {}).items():
            kind, record_id = name.split("/")
            self.by_id[kind, record_id] = given
        self.listed_at |= listed_at or {}
        self.platform |= platform or {}
        self.unlisted |= set(unlisted or ())

    def __call__(self, request):
        answer = self.answer(request)
        if self.date is not None:
            answer.headers["Date"] = format_datetime(datetime.fromtimestamp(self.date(), UTC), usegmt=True)
        return answer

    def answer(self, request):
        path = unquote(request.url.path)
        self.asked.append(f"{path}?{request.url.query.decode()}")
        if path.startswith("/v3/merchants/"):
            answer = self.platform.get("/" + path.split("/", 4)[4] if path.count("/") > 3 else "")
            return httpx.Response(404 if answer is None else 200, json=answer)
        _, _, name, *record_id = path.split("/")
        if name not in self.rows:
            return httpx.Response(404, json={"message": "not found"})
        if record_id:
            row = self.by_id.get((name, record_id[0]), self.rows[name].get(record_id[0]))
            return httpx.Response(404 if row is None else 200, json=row or {"message": "not found"})
        return httpx.Response(200, json=self.page(name, request.url.params))

    def page(self, name, params):
        since, until = int(params.get("created.gte", 0)), int(params.get("created.lt", 10**15))
        found = [row for row in self.rows[name].values() if since <= self.time_of(row) < until]
        found = [row for row in found if row["id"] not in self.unlisted]
        if "charge" in params:
            found = [row for row in self.rows[name].values() if row.get("charge") == params["charge"]]
        found.sort(key=lambda row: (-self.time_of(row), row["id"]))
        if "starting_after" in params:
            ids = [row["id"] for row in found]
            found = (
                found[ids.index(params["starting_after"]) + 1 :] if params["starting_after"] in ids else []
            )
        limit = int(params.get("limit", 10))
        return {"object": "list", "data": found[:limit], "has_more": len(found) > limit}

    def time_of(self, row):
        return self.listed_at.get(row["id"], row.get("created") or 0)


def told_bench(tmp_path, clover, name="store", **settings):
    """A bench whose Clover is ``clover``; its syncs begin at ``AT``."""
    connection = Connection(
        merchant_id="TOLDMERCHANT1",
        merchant_name="Juniper Goods",
        base_url="http://clover.test",
        country="USA",
        currency=settings.pop("currency", "USD"),
        timezone="America/New_York",
        token="told-token",
        start_date=date(2026, 10, 1),
        platform=settings.pop("platform", "off"),
    )
    config = Config(
        store=str(tmp_path / name),
        companies=[Company(name="Juniper Goods", connections=[connection])],
        limits=FAST,
        sync=settings,
    )
    bench = Bench(tmp_path, clover, config, now=AT - timedelta(hours=1))
    bench.transport = httpx.MockTransport(clover)
    return bench
