"""Which connections were given up through the read API, so that a sync leaves them alone."""

from connector.control.place import Place, rows_if_there


def given_up_connections(place: Place) -> frozenset[str]:
    """Ids of connections that were unlinked or deleted there; none where the API was never started.

    Raises StoreError when the control data cannot be read, or is gone.
    """
    rows = rows_if_there(
        place,
        "connections",
        "SELECT connection_id FROM connections WHERE status = 'Unlinked' OR deleted IS NOT NULL",
    )
    return frozenset(row["connection_id"] for row in rows)
