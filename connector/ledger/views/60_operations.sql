-- view snapshots: One committed load that changed something. A larger snapshot_id is a later state.
-- grain: snapshot_id
-- column snapshot_id: Number of the load, rising over all companies.
-- column loaded_at: When it was committed, UTC, whole seconds, later than that of the snapshot before.
-- column from_source_modified_date: Oldest source_modified_date of the order versions it brought, UTC; NULL when it brought none.
-- column to_source_modified_date: Newest source_modified_date of the order versions it brought, UTC.
-- column orders_inserted: Orders that were not there before.
-- column orders_updated: Orders that got a new current version, deletions included.
-- column orders_unchanged: Orders that were looked at and had not changed.
-- column orders_deleted: Orders that Clover no longer has, or that no longer count.
-- column late: Versions older than the current one: kept, never current.
-- column records_changed: Versions of customers, products and other records beside orders.
-- column source_records_changed: Versions of Clover's own records.
CREATE VIEW main.snapshots AS
SELECT snapshot_id, run_id, company_id, connection_id, loaded_at, from_source_modified_date, to_source_modified_date,
  orders_inserted, orders_updated, orders_unchanged, orders_deleted, late, records_changed, source_records_changed,
  (SELECT epoch FROM ledger.publication) AS epoch
FROM ledger.snapshots;

-- view sync_runs: One run of one connection.
-- grain: run_id, connection_id
-- references connections: connection_id
-- values kind: sync, resync, rebuild, reconcile
-- values status: running, succeeded, partly_done, failed
-- column run_id: Id of the run.
-- column kind: sync, resync, rebuild or reconcile.
-- column started_at: When it began, UTC.
-- column finished_at: When it ended, UTC; NULL while it is running or when it was killed.
-- column status: running, succeeded, partly_done (some records are held back) or failed.
-- column requests: Requests sent to Clover, tries included.
-- column retries: Requests that were sent again.
-- column throttled: Answers that asked to slow down (429).
-- column waited_seconds: Seconds spent waiting for limits, ours and Clover's.
-- column charges_read: Charges that were listed.
-- column orders_read: Orders that were listed.
-- column refunds_read: Refunds that were listed.
-- column rows_read: Rows that were listed, of all lists.
-- column orders_inserted: Orders that were not there before.
-- column orders_updated: Orders that got a new current version, deletions included.
-- column orders_unchanged: Orders that were looked at and had not changed.
-- column orders_held_back: Orders that are kept raw and not published.
-- column error_kind: What kind of error ended it; NULL when none did.
-- column error: What happened, in words.
-- column snapshot_id: The newest snapshot the run made; NULL when it changed nothing.
CREATE VIEW main.sync_runs AS
SELECT run_id, company_id, connection_id, kind, started_at, finished_at, status, requests, retries, throttled,
  waited_seconds, rows_read['charges'] AS charges_read, rows_read['orders'] AS orders_read,
  rows_read['refunds'] AS refunds_read, list_sum(map_values(rows_read))::BIGINT AS rows_read, orders_inserted, orders_updated, orders_unchanged,
  orders_held_back, error_kind, error, snapshot_id
FROM ledger.sync_runs;

-- view connections: One Clover merchant of a company.
-- grain: connection_id
-- values status: Linked, Deauthorized, Unlinked, PendingAuth
-- column company_name: Name of the company.
-- column merchant_id: Clover's id of the merchant.
-- column merchant_name: Name of the merchant.
-- column platform: Where the data comes from: clover.
-- column environment: production or sandbox.
-- column country: Country of the merchant, ISO 3166 alpha-3.
-- column currency: Currency the merchant sells in, ISO 4217, where it is configured.
-- column timezone: The merchant's time zone, IANA name; days and months are in it.
-- column status: Linked, Deauthorized, Unlinked or PendingAuth.
-- column first_date: Nothing older is read.
CREATE VIEW main.connections AS
SELECT company_id, company_name, connection_id, merchant_id, merchant_name, platform, environment, country, currency,
  timezone, status, first_date
FROM ledger.connections;

-- view data_issues: One thing about one order that did not add up, open or closed. Nothing is dropped because of it.
-- grain: connection_id, order_id, code, detail, record_id, first_seen_snapshot
-- references connections: connection_id
-- values severity: info, warning, error
-- column order_id: The order; (none) when the finding is about no order.
-- column code: Which rule was broken, e.g. payments_total.
-- column severity: info (an estimate was needed, totals are exact), warning (the source contradicts itself), error (held back).
-- column detail: What was found, in words.
-- column difference_minor: The difference in minor units of the currency, signed; NULL when no amount is at stake.
-- column difference_amount: The difference in major units, signed.
-- column record_kind: charge, order or refund, where it is about one record.
-- column record_id: Clover's id of that record; (none) where it is about the order as a whole.
-- column first_seen_snapshot: The load that found it.
-- column resolved_snapshot: The load that found it healed; NULL while it is open.
-- column first_seen_at: When it was found, UTC.
-- column resolved_at: When it was found healed, UTC.
CREATE VIEW main.data_issues AS
SELECT company_id, connection_id, coalesce(order_id, '(none)') AS order_id, code, severity,
  coalesce(detail, '') AS detail, difference_minor,
  {major_units(difference_minor, currency)}::DECIMAL(18,4) AS difference_amount,
  currency, record_kind, coalesce(record_id, '(none)') AS record_id, first_seen_snapshot, resolved_snapshot,
  first_seen_at, resolved_at
FROM ledger.data_issues;

-- view open_issues: data_issues that are not healed.
-- grain: connection_id, order_id, code, detail, record_id, first_seen_snapshot
-- references connections: connection_id
-- values severity: info, warning, error
-- column order_id: The order; (none) when the finding is about no order.
-- column code: Which rule is broken, e.g. payments_total.
-- column severity: info (an estimate was needed, totals are exact), warning (the source contradicts itself), error (held back).
-- column detail: What was found, in words.
-- column difference_minor: The difference in minor units of the currency, signed; NULL when no amount is at stake.
-- column difference_amount: The difference in major units, signed.
-- column record_kind: charge, order or refund, where it is about one record.
-- column record_id: Clover's id of that record; (none) where it is about the order as a whole.
-- column first_seen_snapshot: The load that found it.
-- column first_seen_at: When it was found, UTC.
CREATE VIEW main.open_issues AS
SELECT * EXCLUDE (resolved_snapshot, resolved_at)
FROM main.data_issues
WHERE resolved_snapshot IS NULL;

-- view held_back: One record that was kept raw and not published, and why; resolved once it could be.
-- grain: connection_id, record_kind, record_id, first_seen_run
-- column record_kind: charge, order or refund, or what another stream beside the orders lists.
-- column record_id: Clover's id of the record; for list rows without an id, (no id) and the span they were listed in.
-- column reason: Why, e.g. unpaid, unreadable, deleted.
-- column detail: More words, never personal data.
-- column first_seen_run: The run that held it back first.
-- column last_seen_run: The newest run that held it back.
-- column amount_minor: What was taken and not given back, tips in, minor units of the currency; NULL where no money has
--   moved (open carts, authorisations, failed payments) and where nobody can tell.
-- column resolved_run: The run that published it after all, or found it no longer held back; NULL while it is held back.
CREATE VIEW main.held_back AS
SELECT company_id, connection_id, record_kind, record_id, order_id, reason, detail, first_seen_run, last_seen_run,
  resolved_run, amount_minor, currency
FROM ledger.held_back;

-- view reconciliations: One comparison of Clover's own records with what is stored: a day, stream and currency.
-- grain: run_id, connection_id, day, stream, currency
-- column reconciled_at: When it was compared, UTC.
-- column since: Records created from here on were compared, UTC.
-- column until: Records created before this were compared, UTC.
-- column stream: charges, orders or refunds: records as Clover lists them against those stored; captured or refunded:
--   money by the rules of the mapping, tips in, against what published orders carry. undated ... where Clover gives no
--   time; day is then that of the comparison.
-- column clover_count: Records Clover lists.
-- column clover_amount: Their amounts as Clover states them, major units, positive.
-- column stored_count: Records stored, or published as paid.
-- column stored_amount: Their amounts, major units.
-- column explained: The part of the difference that has a reason, major units, Clover's amount less the stored amount.
-- column unexplained: The part of the difference that has none, or that is held back for another reason than being
--   unpaid, major units; 0 when the books agree.
-- column detail: Reasons and how many records have each, in words.
CREATE VIEW main.reconciliations AS
SELECT run_id, company_id, connection_id, reconciled_at, since, until, "day", stream, currency, clover_count,
  clover_amount, stored_count, stored_amount, explained, unexplained, detail
FROM ledger.reconciliations;

-- view source_records: One record as Clover gave it, newest state: the lineage behind each order. Card and personal
--   data are removed.
-- grain: connection_id, kind, record_id
-- references snapshots: snapshot_id
-- column kind: charge, order or refund, or what another stream beside the orders lists.
-- column record_id: Clover's id of the record.
-- column order_id: The order it went into.
-- column charge_id: The charge a refund belongs to.
-- column payload: The record as JSON, amounts in minor units, without card and personal data.
CREATE VIEW main.source_records AS
SELECT company_id, connection_id, kind, record_id, order_id, charge_id, created_at, payload, snapshot_id
FROM ledger.source_records
WHERE replaced_by IS NULL AND NOT is_deleted;

-- view data_quality: How far the figures of one company can be relied on.
-- grain: company_id
-- column orders: Published orders.
-- column reconciled_orders: Orders whose Paid payments are exactly total_amount + total_gratuity and that have no open
--   warning or error.
-- column reconciled_share: reconciled_orders / orders, 0 to 1, rounded down to four decimals; NULL without orders.
-- column estimated_orders: Orders with an open issue of severity info: something had to be estimated or assumed, totals are exact.
-- column held_back: Records kept raw and not published.
-- column open_issues: Issues that are not healed, all severities.
-- column open_warnings: Those of severity warning.
-- column open_errors: Those of severity error.
-- column last_success: When a sync of the company last succeeded, UTC. Reconciliations and rebuilds read nothing new.
-- column last_reconciled: When the company was last compared with Clover, UTC.
CREATE VIEW main.data_quality AS
WITH issues AS (
  SELECT company_id, connection_id, order_id, bool_or(severity = 'info') AS is_estimated,
    bool_or(severity <> 'info') AS is_doubtful, count(*) AS open_issues, count(*) FILTER (severity = 'warning') AS open_warnings,
    count(*) FILTER (severity = 'error') AS open_errors
  FROM ledger.data_issues
  WHERE resolved_snapshot IS NULL
  GROUP BY ALL
),
counted AS (
  SELECT o.company_id, count(*) AS orders,
    count(*) FILTER (o.paid_amount = o.total_amount + o.total_gratuity AND NOT coalesce(i.is_doubtful, false)) AS reconciled_orders,
    count(*) FILTER (coalesce(i.is_estimated, false)) AS estimated_orders
  FROM ledger.order_versions o
  LEFT JOIN issues i ON i.connection_id = o.connection_id AND i.order_id = o.order_id
  WHERE o.replaced_by IS NULL AND NOT o.is_deleted
  GROUP BY o.company_id
),
per_company AS (
  SELECT company_id, sum(open_issues) AS open_issues, sum(open_warnings) AS open_warnings,
    sum(open_errors) AS open_errors
  FROM issues
  GROUP BY company_id
),
held AS (
  SELECT company_id, count(*) AS held_back
  FROM ledger.held_back
  WHERE resolved_run IS NULL
  GROUP BY company_id
),
runs AS (
  SELECT company_id, max(last_success) AS last_success
  FROM main.connection_state
  GROUP BY company_id
),
compared AS (
  SELECT company_id, max(reconciled_at) AS last_reconciled
  FROM ledger.reconciliations
  GROUP BY company_id
)
SELECT c.company_id, coalesce(n.orders, 0)::BIGINT AS orders, coalesce(n.reconciled_orders, 0)::BIGINT AS reconciled_orders,
  CASE WHEN n.orders > 0
    THEN ((n.reconciled_orders * 10000 // n.orders) * 0.0001::DECIMAL(5,4))::DECIMAL(9,4) END AS reconciled_share,
  coalesce(n.estimated_orders, 0)::BIGINT AS estimated_orders, coalesce(h.held_back, 0)::BIGINT AS held_back,
  coalesce(p.open_issues, 0)::BIGINT AS open_issues, coalesce(p.open_warnings, 0)::BIGINT AS open_warnings,
  coalesce(p.open_errors, 0)::BIGINT AS open_errors, r.last_success, d.last_reconciled
FROM (SELECT DISTINCT company_id FROM ledger.connections) c
LEFT JOIN counted n ON n.company_id = c.company_id
LEFT JOIN per_company p ON p.company_id = c.company_id
LEFT JOIN held h ON h.company_id = c.company_id
LEFT JOIN runs r ON r.company_id = c.company_id
LEFT JOIN compared d ON d.company_id = c.company_id;
