"""What a run learns of records beside the orders that no order tells: other streams, and the platform's customers.

Of customers the orders know only an id and what was typed at the till. The platform has no list of changed
customers. So those of this run's orders are read, one by one or, where they are many, in the whole list; and once a
night the whole list is compared with every customer that is stored.
"""

from collections.abc import Callable, Collection
from datetime import datetime
from itertools import islice

import orjson

from connector.clover.lists.streams import STREAMS
from connector.ledger.stored import Stored
from connector.sync.link.notebook import Staging
from connector.sync.map.side_records import SideRecords
from connector.sync.read.platform import Witness
from schemas.times import from_ms
from schemas.wire import members
from transforms.beside.customers import platform_customer

CUSTOMERS = "customers"
_ONE_BY_ONE = 20  # customers for whom single reads are less than the list may be
_BATCH = 500


def gather_streams(notebook: Staging, stored: Stored, side: SideRecords, at: datetime) -> None:
    """Map the staged records of the streams that stand beside the orders.

    at: start of the run. A new record is dated when it was made, one that changed by the run that noticed it.
    """
    for kind, stream in STREAMS.items():
        if stream.beside is None:
            continue
        staged = notebook.records_of_kind(kind)
        while records := list(islice(staged, _BATCH)):
            known = {home.id for home in stored.homes(kind, [record.id for record in records])}
            for record in records:
                is_dated = record.id not in known and record.created_ms is not None
                as_of = from_ms(record.created_ms or 0) if is_dated else at
                for data_type, codat in stream.beside(orjson.loads(record.payload)):
                    side.gather(data_type, codat, as_of)


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
