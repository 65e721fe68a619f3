"""A connection that was given up through the read API is not read any more."""

from datetime import UTC, datetime, timedelta

from connector.api.state import TABLES
from connector.control.companies import set_connection_status, take_from_config
from connector.control.file import ControlFile
from connector.sandbox import World


def test_an_unlinked_connection_is_left_alone_and_read_again_once_linked(bench):
    world = World()
    made = bench(world=world)
    world.sell(made.now - timedelta(days=1))
    connection = made.company.connections[0].id
    made.store.directory.mkdir(parents=True)
    control = ControlFile(made.store.directory, *TABLES)
    take_from_config(control, [(made.company.id, "Juniper Goods", [connection])], now=datetime.now(UTC))
    set_connection_status(control, connection, "Unlinked")
    assert made.sync_all().runs == []
    assert made.sandbox.requests() == 0
    set_connection_status(control, connection, "Linked")
    assert [run.status for run in made.sync_all().runs] == ["succeeded"]
    control.close()
