"""Fills in customers from the platform, where the orders of a run know only an id and what was typed at the till.

The platform has no list of changed customers. So those of this run's orders are read, one by one or, where they
are many, in the whole list; and once a night the whole list is compared with every customer that is stored.
"""

from collections.abc import Callable, Collection
from datetime import datetime

from connector.sync.map.side_records import SideRecords
from connector.sync.read.platform import Witness
from schemas.wire import members
from transforms.beside.platform_customers import platform_customer

CUSTOMERS = "customers"
_ONE_BY_ONE = 20  # customers for whom single reads are less than the list may be


def fill_in_customers(
    witness: Witness,
    side: SideRecords,
    at: datetime,
    *,
    stored: Callable[[], Collection[str]] | None = None,
) -> None:
    """Add the platform's words to the customers gathered; they are the newest, so they win over an order's.

    at: start of the run; a change of a customer has no date of its own. stored: ids of all stored customers, where
    they too are to be compared. Customers that no order names are left out.
    """
    wanted = side.ids(CUSTOMERS)
    if stored is not None:
        wanted |= set(stored())
    whole_list = stored is not None or len(wanted) > _ONE_BY_ONE
    for row in witness.customers(wanted, whole_list=whole_list):
        side.gather(CUSTOMERS, members(platform_customer(row)), at)
