"""What a fleet stands on is there: a database, and a bucket that keeps and lists what it is given."""

import obstore
import psycopg
from obstore.store import from_url


def test_an_empty_database(postgres_url: str) -> None:
    with psycopg.connect(postgres_url) as connection:
        tables = connection.execute(
            "SELECT count(*) FROM information_schema.tables WHERE table_schema = 'public'"
        ).fetchone()
    assert tables == (0,)


def test_a_bucket_keeps_what_it_is_given(bucket: str) -> None:
    store = from_url(bucket, client_options={"allow_http": True})
    obstore.put(store, "company/000000001/commerce.duckdb", b"published")
    assert obstore.get(store, "company/000000001/commerce.duckdb").bytes() == b"published"
    assert [row["path"] for row in obstore.list(store, "company").collect()] == [
        "company/000000001/commerce.duckdb"
    ]
