"""A configuration and a published file that the commands can read, without a sync."""

import shutil

import duckdb
import pytest

from connector.cli.entry import run
from connector.ledger.migrate import migrations

COMPANY = "8a210b68-6988-11ed-a1eb-0242ac120002"
CONNECTION = "2e9d2c44-f675-40ba-8049-353bfcb5e171"
OTHER_COMPANY = "11111111-6988-11ed-a1eb-0242ac120002"
OTHER_CONNECTION = "22222222-f675-40ba-8049-353bfcb5e171"

CONFIG = f"""\
store: ./data
companies:
  - id: {COMPANY}
    name: Juniper Goods
    connections:
      - {{id: {CONNECTION}, merchant_id: MHT4QK2Z9WX63, country: USA, timezone: America/New_York,
         token: "${{CLOVER_TOKEN:-a-token-value}}", start_date: 2024-01-01, schedule: "*/30 * * * *"}}
  - id: {OTHER_COMPANY}
    name: Kite Wholesale
    connections:
      - {{id: {OTHER_CONNECTION}, merchant_id: MHT4QK2Z9WX62, country: CAN, timezone: America/Toronto,
         token: other-token-value, start_date: 2024-01-01}}
"""

WHOSE = f"'{COMPANY}' AS company_id, '{CONNECTION}' AS connection_id"

ROWS = f"""
INSERT INTO ledger.sync_runs BY NAME SELECT {WHOSE}, * FROM (VALUES
  ('r1', 'sync', TIMESTAMP '2026-11-20 04:00:00', TIMESTAMP '2026-11-20 04:01:00', 'partly_done', NULL, NULL),
  ('r2', 'sync', '2026-11-20 05:00:00', '2026-11-20 05:00:09', 'failed', 'clover', 'Clover did not answer.'),
  ('r3', 'reconcile', '2026-11-20 06:00:00', '2026-11-20 06:00:09', 'succeeded', NULL, NULL)
) AS t(run_id, kind, started_at, finished_at, status, error_kind, error);
INSERT INTO ledger.sync_state BY NAME SELECT {WHOSE}, 'charges' AS stream,
  TIMESTAMP '2026-11-20 03:55:00' AS "cursor", TIMESTAMP '2026-11-20 04:01:00' AS updated_at;
INSERT INTO ledger.source_records BY NAME SELECT {WHOSE}, * FROM (VALUES
  ('charge', 'C1', 'h', 1, NULL, false), ('charge', 'C1', 'g', 1, 2, false),
  ('order', 'O9', 'h', 1, NULL, true)
) AS t(kind, record_id, content_hash, snapshot_id, replaced_by, is_deleted);
INSERT INTO ledger.held_back BY NAME SELECT {WHOSE}, 'order' AS record_kind, 'open_cart' AS reason,
  'r1' AS first_seen_run, 'r1' AS last_seen_run, * FROM (VALUES ('O3', NULL), ('O4', 'r1'))
  AS t(record_id, resolved_run);
INSERT INTO ledger.data_issues BY NAME SELECT {WHOSE}, 'source_total' AS code, 'warning' AS severity,
  1 AS first_seen_snapshot, TIMESTAMP '2026-11-20 04:01:00' AS first_seen_at;
CREATE VIEW data_issues AS FROM ledger.data_issues;
CREATE TABLE orders(
  connection_id VARCHAR, order_id VARCHAR, total_amount DECIMAL(18,4), created_date TIMESTAMP
);
INSERT INTO orders VALUES ('{CONNECTION}', 'O1', 12.5000, '2026-11-20 04:00:00'),
                          ('{CONNECTION}', 'O2', 900719925474.0993, '2026-11-20 04:00:01');
INSERT INTO ledger.order_versions BY NAME SELECT {WHOSE}, order_id, created_date, created_date AS source_modified_date,
  'h' AS content_hash, 1 AS snapshot_id, false AS is_deleted FROM orders;
CREATE VIEW monthly_sales AS SELECT 'Juniper Goods' AS company;
"""


@pytest.fixture(scope="session")
def ledger_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("ledger") / "serve.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE SCHEMA ledger")
        for _version, _name, file in migrations():
            connection.execute(file.read_text())
        connection.execute(ROWS)
    return path


@pytest.fixture
def shop(tmp_path, monkeypatch):
    """A directory with config.yaml, made the current one. Returns its path."""
    (tmp_path / "config.yaml").write_text(CONFIG)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CONNECTOR_CONFIG", raising=False)
    monkeypatch.delenv("COLUMNS", raising=False)
    return tmp_path


@pytest.fixture
def published(shop, ledger_file):
    """The same with a published file."""
    data = shop / "data"
    data.mkdir()
    shutil.copy(ledger_file, data / "serve-000000001.duckdb")
    (data / "serve-000000001.duckdb").chmod(0o444)
    (data / "commerce.duckdb").symlink_to("serve-000000001.duckdb")
    return shop


@pytest.fixture
def connector(capsys):
    """Call the command line in this process: (exit code, standard output, standard error)."""

    def call(*arguments):
        code = run(arguments)
        out, err = capsys.readouterr()
        return code, out, err

    return call
