-- Every booking of every order with the loads between which it held, flat, so that figures and history are plain sums.
-- Filled from the bookings of the versions (connector/ledger/load/postings.py). Rows are never removed and never change,
-- but for replaced_by and reversed_date, which are set once.
CREATE TABLE ledger.postings (
  company_id VARCHAR NOT NULL, connection_id VARCHAR NOT NULL, order_id VARCHAR NOT NULL,
  -- From which load on it holds, and from which it does not; NULL while it does.
  snapshot_id BIGINT NOT NULL, replaced_by BIGINT,
  -- The booking. Its days follow a corrected time zone.
  event VARCHAR NOT NULL, record_id VARCHAR, local_date DATE, created_local_date DATE, currency VARCHAR,
  is_order_currency BOOLEAN NOT NULL, payment_type VARCHAR,
  gross_sales DECIMAL(18,4), discounts DECIMAL(18,4), "returns" DECIMAL(18,4), service_charges DECIMAL(18,4),
  tax DECIMAL(18,4), estimated_tax DECIMAL(18,4), tips DECIMAL(18,4), overpayments DECIMAL(18,4),
  collected DECIMAL(18,4), previous_refund DATE,
  -- When it was put into books that are never changed. These days stay as they are.
  is_correction BOOLEAN NOT NULL, booked_date DATE NOT NULL, reversed_date DATE
);

-- A setting of a connection that was corrected after orders had been loaded, and the load that made it known.
CREATE TABLE ledger.setting_changes (
  company_id VARCHAR NOT NULL, connection_id VARCHAR NOT NULL, snapshot_id BIGINT NOT NULL, setting VARCHAR NOT NULL,
  from_value VARCHAR, to_value VARCHAR
);

-- Which numbering the snapshots are of: made new when a store is restored, because loads after the backup are numbered
-- again then.
ALTER TABLE ledger.publication ADD COLUMN epoch VARCHAR;
UPDATE ledger.publication SET epoch = uuid()::VARCHAR;
