"""Many merchants connect themselves, are read, and are seen by whom they may be seen.

Twelve in the ordinary run; MERCHANTS=200 for the two hundred of the promise.
"""

import os
from decimal import Decimal

import pytest

from connector.control.kept import with_kept
from connector.control.place import control_place
from connector.sync.many import sync_all
from connector.sync.runtime import Runtime
from tests.link.lender import Lender, shop

MERCHANTS = int(os.environ.get("MERCHANTS", "12"))


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_merchants_are_linked_read_and_kept_apart(tmp_path):
    """Each company's orders are its own shop's, through a key for all and through one for every third."""
    lender = Lender(tmp_path, [[shop(n, orders=2) for n in range(MERCHANTS)]])
    try:
        applicants = []
        for number, world in enumerate(lender.worlds):
            company, connection = lender.applicant(f"Company {number}")
            browser = lender.link(connection, merchant=world.merchant.id)
            assert browser.heading == "Your shop is connected"
            applicants.append((company["id"], connection["id"], world))
        config = with_kept(lender.config, control_place(lender.config))
        report = sync_all(Runtime.of(config, lender.store, now=lender.now))
        assert {run.status for run in report.runs} == {"succeeded"}
        some = {company_id for company_id, _connection, _world in applicants[::3]}
        everything, narrow = lender.key("read"), lender.key("read", companies=sorted(some))
        for company_id, connection_id, world in applicants:
            path = f"/companies/{company_id}/connections/{connection_id}/data/commerce-orders"
            [books] = world.books.totals().values()
            for key in (everything, narrow):
                answer = lender.api.get(path, headers=key)
                if key is narrow and company_id not in some:
                    assert answer.status_code == 404
                    continue
                orders = answer.json()["results"]
                assert (
                    sum(Decimal(str(order["totalAmount"])) for order in orders) * 100
                    == books.total_amount_minor
                )
                assert {order["locationRef"]["id"] for order in orders} == {world.merchant.id}
        assert lender.api.get("/companies", headers=narrow).json()["totalResults"] == len(some)
        assert lender.api.get("/companies", headers=everything).json()["totalResults"] == MERCHANTS
        other = next(company_id for company_id, _c, _w in applicants if company_id not in some)
        crossed = f"/companies/{applicants[0][0]}/connections/{applicants[1][1]}/data/commerce-orders"
        assert lender.api.get(crossed, headers=everything).status_code == 404
        assert lender.api.get(f"/companies/{other}", headers=narrow).status_code == 404
    finally:
        lender.close()
