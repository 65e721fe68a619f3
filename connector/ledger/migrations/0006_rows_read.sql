-- How many rows each stream listed: stream -> rows, so that another stream needs no column of its own.
ALTER TABLE ledger.sync_runs ADD COLUMN rows_read MAP(VARCHAR, BIGINT);
UPDATE ledger.sync_runs SET rows_read =
  MAP {'charges': charges_read, 'orders': orders_read, 'refunds': refunds_read};
ALTER TABLE ledger.sync_runs DROP COLUMN charges_read;
ALTER TABLE ledger.sync_runs DROP COLUMN orders_read;
ALTER TABLE ledger.sync_runs DROP COLUMN refunds_read;
