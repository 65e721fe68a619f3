-- What analysts count time by: the month with which a company's fiscal year begins, 1 to 12, and the merchant's wall
-- clock at the sale.
ALTER TABLE ledger.connections ADD COLUMN fiscal_year_start INTEGER;
UPDATE ledger.connections SET fiscal_year_start = 1;

ALTER TABLE ledger.order_versions ADD COLUMN created_local_time TIMESTAMP;
UPDATE ledger.order_versions v SET created_local_time =
  (coalesce(v.created_date, v.source_modified_date) AT TIME ZONE 'UTC') AT TIME ZONE coalesce(c.timezone, 'UTC')
FROM ledger.connections c
WHERE c.connection_id = v.connection_id;
