"""A configuration and a published file that the commands can read, without a sync."""

import shutil

import duckdb
import pytest

from connector.cli.entry import run

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
      - {{id: {CONNECTION}, merchant_id: MHT4QK2Z9WX61, country: USA, timezone: America/New_York,
         token: "${{CLOVER_TOKEN:-a-token-value}}", start_date: 2024-01-01, schedule: "*/30 * * * *"}}
  - id: {OTHER_COMPANY}
    name: Kite Wholesale
    connections:
      - {{id: {OTHER_CONNECTION}, merchant_id: MHT4QK2Z9WX62, country: CAN, timezone: America/Toronto,
         token: other-token-value, start_date: 2024-01-01}}
"""

LEDGER = f"""
CREATE SCHEMA ledger;
CREATE TABLE ledger.connections(company_id VARCHAR, company_name VARCHAR, connection_id VARCHAR);
INSERT INTO ledger.connections VALUES
  ('{COMPANY}', 'Juniper Goods', '{CONNECTION}'), ('{OTHER_COMPANY}', 'Kite Wholesale', '{OTHER_CONNECTION}');
CREATE TABLE ledger.sync_runs(run_id VARCHAR, company_id VARCHAR, connection_id VARCHAR, kind VARCHAR,
  started_at TIMESTAMP, finished_at TIMESTAMP, status VARCHAR, error_kind VARCHAR, error VARCHAR);
INSERT INTO ledger.sync_runs VALUES
  ('r1', '{COMPANY}', '{CONNECTION}', 'sync',
   '2026-11-20 04:00:00', '2026-11-20 04:01:00', 'partly_done', NULL, NULL),
  ('r2', '{COMPANY}', '{CONNECTION}', 'sync',
   '2026-11-20 05:00:00', '2026-11-20 05:00:09', 'failed', 'clover', 'Clover did not answer.');
CREATE TABLE ledger.sync_state(company_id VARCHAR, connection_id VARCHAR, stream VARCHAR, cursor TIMESTAMP);
INSERT INTO ledger.sync_state VALUES ('{COMPANY}', '{CONNECTION}', 'charges', '2026-11-20 03:55:00');
CREATE TABLE ledger.source_records(connection_id VARCHAR, kind VARCHAR, replaced_by BIGINT,
  is_deleted BOOLEAN);
INSERT INTO ledger.source_records VALUES
  ('{CONNECTION}', 'charge', NULL, false), ('{CONNECTION}', 'charge', 2, false),
  ('{CONNECTION}', 'order', NULL, true);
CREATE TABLE ledger.held_back(connection_id VARCHAR, reason VARCHAR, resolved_run VARCHAR);
INSERT INTO ledger.held_back VALUES ('{CONNECTION}', 'open_cart', NULL), ('{CONNECTION}', 'open_cart', 'r1');
CREATE TABLE ledger.data_issues(connection_id VARCHAR, code VARCHAR, severity VARCHAR,
  resolved_snapshot BIGINT);
INSERT INTO ledger.data_issues VALUES ('{CONNECTION}', 'source_total', 'warning', NULL);
CREATE VIEW data_issues AS FROM ledger.data_issues;
CREATE TABLE orders(connection_id VARCHAR, order_id VARCHAR, total_amount DECIMAL(18,4),
  created_date TIMESTAMP);
INSERT INTO orders VALUES ('{CONNECTION}', 'O1', 12.5000, '2026-11-20 04:00:00'),
                          ('{CONNECTION}', 'O2', 900719925474.0993, '2026-11-20 04:00:01');
CREATE TABLE daily_sales(company_id VARCHAR, currency VARCHAR, orders BIGINT, gross_sales DECIMAL(18,4),
  discounts DECIMAL(18,4), refunds DECIMAL(18,4), net_sales DECIMAL(18,4), tax DECIMAL(18,4),
  gratuity DECIMAL(18,4));
INSERT INTO daily_sales VALUES
  ('{COMPANY}', 'USD', 2, 1234567.8900, 10.0000, -4.5000, 1234563.3900, 99.9900, 3.0000),
  ('{COMPANY}', 'USD', 1, 0.1100, 0.0000, 0.0000, 0.1100, 0.0100, 0.0000),
  ('{COMPANY}', 'JPY', 1, 500.0000, 0.0000, 0.0000, 500.0000, 0.0000, 0.0000);
CREATE VIEW monthly_sales AS FROM daily_sales;
"""


@pytest.fixture(scope="session")
def ledger_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("ledger") / "serve.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute(LEDGER)
    return path


@pytest.fixture
def shop(tmp_path, monkeypatch):
    """A directory with config.yaml, made the current one. Returns its path."""
    (tmp_path / "config.yaml").write_text(CONFIG)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CONNECTOR_CONFIG", raising=False)
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
