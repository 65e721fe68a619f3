"""Brings a ``control.sqlite`` of an earlier version up to this one; what was waiting goes on waiting.

``PRAGMA user_version`` counts the steps a file has been through. A table that is only added needs no step: each
module's own ``CREATE TABLE IF NOT EXISTS`` makes it.
"""

import sqlite3

from connector.errors import StoreTooNew

# A step also passes over a file that has only some of the old tables.
STEPS = (
    # 1: one outbox for alerts and webhooks.
    """
    CREATE TABLE IF NOT EXISTS webhook_events (
      event_id TEXT PRIMARY KEY, event_type TEXT NOT NULL, company_id TEXT, noted TEXT NOT NULL, body TEXT NOT NULL);
    CREATE TABLE IF NOT EXISTS webhook_deliveries (
      event_id TEXT, webhook_id TEXT, attempts INTEGER, next_try TEXT, delivered TEXT, last_status INTEGER,
      last_error TEXT);
    CREATE TABLE IF NOT EXISTS alert_deliveries (
      alert_id TEXT PRIMARY KEY, connection_id TEXT, company_id TEXT, body TEXT, made TEXT, attempts INTEGER,
      next_try TEXT, delivered TEXT, last_error TEXT);
    CREATE TABLE IF NOT EXISTS outbox_events (
      event_id TEXT PRIMARY KEY, event_type TEXT NOT NULL, company_id TEXT, noted TEXT NOT NULL, body TEXT NOT NULL,
      line TEXT) STRICT;
    CREATE TABLE IF NOT EXISTS outbox_deliveries (
      event_id TEXT NOT NULL, target TEXT NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, next_try TEXT,
      delivered TEXT, last_status INTEGER, last_error TEXT, PRIMARY KEY (event_id, target)) STRICT;
    INSERT INTO outbox_events
      SELECT event_id, event_type, company_id, noted, body, NULL FROM webhook_events ORDER BY rowid;
    INSERT INTO outbox_deliveries
      SELECT event_id, webhook_id, attempts, next_try, delivered, last_status, last_error
      FROM webhook_deliveries ORDER BY rowid;
    INSERT INTO outbox_events
      SELECT alert_id, json_extract(body, '$.event'), company_id, made, body, connection_id
      FROM alert_deliveries ORDER BY rowid;
    INSERT INTO outbox_deliveries
      SELECT alert_id, 'alerts', attempts, next_try, delivered, NULL, last_error FROM alert_deliveries ORDER BY rowid;
    DROP TABLE webhook_events;
    DROP TABLE webhook_deliveries;
    DROP TABLE alert_deliveries;
    """,
)


def bring_up_to_date(connection: sqlite3.Connection) -> None:
    """Take the steps a file has not been through, all or none. Raises StoreTooNew for a later version's file."""
    if _version(connection) == len(STEPS):
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        done = _version(connection)  # another process may have been faster
        if done > len(STEPS):
            raise StoreTooNew(
                f"control.sqlite was written by a newer version of the connector (version {done} of its tables,"
                f" this one knows {len(STEPS)}).",
                hint="Upgrade the connector: pip install --upgrade clover-codat-connector",
            )
        is_new = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0] == 0
        for step in () if is_new else STEPS[done:]:
            for statement in step.split(";"):  # executescript would end the transaction
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {len(STEPS)}")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])
