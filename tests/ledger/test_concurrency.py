"""Several companies are loaded at once while others read: no one meets a torn state, nothing is lost."""

import threading
from concurrent.futures import ThreadPoolExecutor

_LOADS = 2


def test_readers_see_whole_snapshots_while_companies_are_loaded_side_by_side(store, books, rows):
    batches = {
        name: [
            books.batch(
                company_id=name,
                connection_id=name,
                connection=rows.connection(company_id=name, connection_id=name),
                order_versions=[
                    rows.order(f"O{n}", company_id=name, connection_id=name, content_hash=f"{load}-{n}")
                    for n in range(5)
                ],
            )
            for load in range(_LOADS)
        ]
        for name in ("a", "b", "c")
    }
    ended = threading.Event()

    def write(name):
        for batch in batches[name]:
            store.apply(batch)
            store.publish()

    def read():
        seen = [0]
        while not ended.is_set():
            with store.open_reader() as reader:
                seen.append(reader.snapshot_id)
                [(newest, counted, expected)] = reader.connection.execute(
                    "SELECT (SELECT coalesce(max(snapshot_id), 0) FROM order_versions),"
                    " (SELECT count(*) FROM order_versions),"
                    " (SELECT coalesce(sum(orders_inserted + orders_updated), 0) FROM snapshots)"
                ).fetchall()
                assert (newest, counted) == (reader.snapshot_id, expected)
                current = reader.connection.execute(
                    "SELECT count(*) FROM orders GROUP BY connection_id"
                ).fetchall()
                assert {count for (count,) in current} <= {5}
        return seen

    with ThreadPoolExecutor() as pool:
        readers = [pool.submit(read) for _ in range(2)]
        writers = [pool.submit(write, name) for name in batches]
        try:
            for writer in writers:
                writer.result(timeout=120)
        finally:
            ended.set()
        for reader in readers:
            seen = reader.result()
            assert seen == sorted(seen), "a reader never goes back in time"
    with store.open_reader() as reader:
        assert reader.snapshot_id == 3 * _LOADS
        assert reader.connection.execute("SELECT count(*) FROM orders").fetchall() == [(15,)]
