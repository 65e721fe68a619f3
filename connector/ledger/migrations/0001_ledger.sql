-- The ledger: what was learned, when, and how far reading has come. Only the writer's file has it open for writing;
-- the published copies carry it read-only.
--
-- No PRIMARY KEY, UNIQUE or index on purpose: DuckDB 1.5 has index faults under upserts, and the versions are unique
-- by the way they are applied (a test asserts it). Times are UTC without a zone, money DECIMAL(18,4) in major units.
--
-- Versions: snapshot_id is the load that brought a row. replaced_by is NULL for the current row of a record, else the
-- load that replaced it; replaced_by = snapshot_id marks a row that came late and was never current.

CREATE TABLE ledger.connections (
  company_id VARCHAR NOT NULL, company_name VARCHAR, connection_id VARCHAR NOT NULL, merchant_id VARCHAR,
  merchant_name VARCHAR, platform VARCHAR, environment VARCHAR, country VARCHAR, currency VARCHAR, timezone VARCHAR,
  status VARCHAR, first_date DATE
);

CREATE TABLE ledger.order_versions (
  company_id VARCHAR NOT NULL, connection_id VARCHAR NOT NULL, order_id VARCHAR NOT NULL,
  source_modified_date TIMESTAMP NOT NULL, content_hash VARCHAR NOT NULL,
  snapshot_id BIGINT NOT NULL, replaced_by BIGINT, is_deleted BOOLEAN NOT NULL, observed BOOLEAN,
  order_number VARCHAR, country VARCHAR, currency VARCHAR, created_date TIMESTAMP, closed_date TIMESTAMP,
  created_local_date DATE,
  total_amount DECIMAL(18,4), total_refund DECIMAL(18,4), total_tax_amount DECIMAL(18,4),
  total_discount DECIMAL(18,4), total_gratuity DECIMAL(18,4),
  -- Sums over the nested parts, filled when a row is loaded: they make daily figures as fast as the totals.
  sold_tax_amount DECIMAL(18,4), sold_discount DECIMAL(18,4), service_charges_amount DECIMAL(18,4),
  paid_amount DECIMAL(18,4),
  location_id VARCHAR, location_name VARCHAR, customer_id VARCHAR, customer_name VARCHAR,
  modified_date TIMESTAMP,
  order_line_items STRUCT(
    id VARCHAR, quantity DECIMAL(18,4), unit_price DECIMAL(18,4), tax_percentage DECIMAL(9,4),
    total_tax_amount DECIMAL(18,4), total_amount DECIMAL(18,4), product_id VARCHAR, product_name VARCHAR,
    variant_id VARCHAR, variant_name VARCHAR, refund_id VARCHAR, refund_local_date DATE,
    discount_allocations STRUCT("name" VARCHAR, total_amount DECIMAL(18,4))[])[],
  payments STRUCT(
    id VARCHAR, amount DECIMAL(18,4), currency VARCHAR, "type" VARCHAR, status VARCHAR, provider VARCHAR,
    created_date TIMESTAMP, modified_date TIMESTAMP, source_modified_date TIMESTAMP, local_date DATE,
    is_refund BOOLEAN)[],
  service_charges STRUCT(
    description VARCHAR, total_amount DECIMAL(18,4), tax_percentage DECIMAL(9,4), tax_amount DECIMAL(18,4),
    quantity BIGINT, "type" VARCHAR)[],
  doc VARCHAR
);

CREATE TABLE ledger.record_versions (
  company_id VARCHAR NOT NULL, connection_id VARCHAR NOT NULL, data_type VARCHAR NOT NULL, record_id VARCHAR NOT NULL,
  source_modified_date TIMESTAMP NOT NULL, content_hash VARCHAR NOT NULL,
  snapshot_id BIGINT NOT NULL, replaced_by BIGINT, is_deleted BOOLEAN NOT NULL,
  "name" VARCHAR, created_date TIMESTAMP, modified_date TIMESTAMP, doc VARCHAR
);

CREATE TABLE ledger.source_records (
  company_id VARCHAR NOT NULL, connection_id VARCHAR NOT NULL, kind VARCHAR NOT NULL, record_id VARCHAR NOT NULL,
  order_id VARCHAR, charge_id VARCHAR, created_at TIMESTAMP, list_hash VARCHAR, content_hash VARCHAR NOT NULL,
  snapshot_id BIGINT NOT NULL, replaced_by BIGINT, is_deleted BOOLEAN NOT NULL, payload VARCHAR
);

CREATE TABLE ledger.sync_state (
  company_id VARCHAR NOT NULL, connection_id VARCHAR NOT NULL, stream VARCHAR NOT NULL, "cursor" TIMESTAMP NOT NULL,
  updated_snapshot BIGINT, updated_at TIMESTAMP NOT NULL
);

CREATE TABLE ledger.open_orders (
  connection_id VARCHAR NOT NULL, order_id VARCHAR NOT NULL, reason VARCHAR, first_seen TIMESTAMP NOT NULL,
  last_polled TIMESTAMP NOT NULL, next_poll TIMESTAMP
);

CREATE TABLE ledger.deep_scans (
  connection_id VARCHAR NOT NULL, tier VARCHAR NOT NULL, last_completed TIMESTAMP NOT NULL
);

CREATE TABLE ledger.held_back (
  company_id VARCHAR NOT NULL, connection_id VARCHAR NOT NULL, record_kind VARCHAR NOT NULL, record_id VARCHAR NOT NULL,
  order_id VARCHAR, reason VARCHAR NOT NULL, detail VARCHAR, first_seen_run VARCHAR NOT NULL,
  last_seen_run VARCHAR NOT NULL, resolved_run VARCHAR
);

CREATE TABLE ledger.data_issues (
  company_id VARCHAR NOT NULL, connection_id VARCHAR NOT NULL, order_id VARCHAR, code VARCHAR NOT NULL,
  severity VARCHAR NOT NULL, detail VARCHAR, difference_minor BIGINT, currency VARCHAR,
  first_seen_snapshot BIGINT NOT NULL, resolved_snapshot BIGINT, first_seen_at TIMESTAMP NOT NULL, resolved_at TIMESTAMP
);

CREATE TABLE ledger.snapshots (
  snapshot_id BIGINT NOT NULL, run_id VARCHAR NOT NULL, company_id VARCHAR NOT NULL, connection_id VARCHAR NOT NULL,
  loaded_at TIMESTAMP NOT NULL, from_source_modified_date TIMESTAMP, to_source_modified_date TIMESTAMP,
  orders_inserted BIGINT NOT NULL, orders_updated BIGINT NOT NULL, orders_unchanged BIGINT NOT NULL,
  orders_deleted BIGINT NOT NULL, late BIGINT NOT NULL, records_changed BIGINT NOT NULL,
  source_records_changed BIGINT NOT NULL
);

CREATE TABLE ledger.sync_runs (
  run_id VARCHAR NOT NULL, company_id VARCHAR NOT NULL, connection_id VARCHAR NOT NULL, kind VARCHAR NOT NULL,
  started_at TIMESTAMP NOT NULL, finished_at TIMESTAMP, status VARCHAR NOT NULL,
  requests BIGINT, retries BIGINT, throttled BIGINT, waited_seconds DOUBLE,
  charges_read BIGINT, orders_read BIGINT, refunds_read BIGINT,
  orders_inserted BIGINT, orders_updated BIGINT, orders_unchanged BIGINT, orders_held_back BIGINT,
  error_kind VARCHAR, error VARCHAR, snapshot_id BIGINT
);

CREATE TABLE ledger.reconciliations (
  run_id VARCHAR NOT NULL, company_id VARCHAR NOT NULL, connection_id VARCHAR NOT NULL, reconciled_at TIMESTAMP,
  since TIMESTAMP, until TIMESTAMP, "day" DATE, stream VARCHAR, currency VARCHAR,
  clover_count BIGINT, clover_amount DECIMAL(18,4), stored_count BIGINT, stored_amount DECIMAL(18,4),
  explained DECIMAL(18,4), unexplained DECIMAL(18,4), detail VARCHAR
);

-- One row: how many commits there were, the time of the last one, and the highest snapshot id ever given. A published
-- file is named after the commit, so that every publication has a new name. Ids and times are kept here because the
-- newest snapshot may be one that is forgotten together with its company, and neither may be given again.
CREATE TABLE ledger.publication (commit_id BIGINT NOT NULL, committed_at TIMESTAMP NOT NULL, snapshot_id BIGINT NOT NULL);
INSERT INTO ledger.publication VALUES (0, TIMESTAMP '1970-01-01 00:00:00', 0);

-- One row: fingerprint of the view definitions that are in force.
CREATE TABLE ledger.view_definitions (fingerprint VARCHAR NOT NULL);

-- Which columns tell the rows of a view apart.
CREATE TABLE ledger.view_grains (view_name VARCHAR NOT NULL, grain VARCHAR[] NOT NULL);
