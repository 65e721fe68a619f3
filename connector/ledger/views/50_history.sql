-- view order_changes: One total of one order that changed from one version to the next: from what, to what, when it was
--   learned here and when it happened at Clover. A deleted order changes to zero.
-- grain: connection_id, order_id, snapshot_id, total_name
-- column total_name: Which total: total_amount, total_refund, total_tax_amount, total_discount or total_gratuity.
-- column from_amount: The total before, major units.
-- column to_amount: The total from this version on, major units; 0 for a deletion.
-- column difference: to_amount - from_amount, major units.
-- column learned_at: When the new version was loaded here, UTC.
-- column happened_at: When it changed at Clover, UTC.
-- column previous_snapshot_id: The load that brought the version before.
CREATE VIEW main.order_changes AS
WITH current_once AS (
  SELECT company_id, connection_id, order_id, currency, snapshot_id, replaced_by, is_deleted, modified_date,
    source_modified_date,
    CASE WHEN is_deleted THEN 0 ELSE total_amount END::DECIMAL(18,4) AS total_amount,
    CASE WHEN is_deleted THEN 0 ELSE total_refund END::DECIMAL(18,4) AS total_refund,
    CASE WHEN is_deleted THEN 0 ELSE total_tax_amount END::DECIMAL(18,4) AS total_tax_amount,
    CASE WHEN is_deleted THEN 0 ELSE total_discount END::DECIMAL(18,4) AS total_discount,
    CASE WHEN is_deleted THEN 0 ELSE total_gratuity END::DECIMAL(18,4) AS total_gratuity
  FROM ledger.order_versions
  WHERE replaced_by IS NULL OR replaced_by > snapshot_id
),
steps AS (
  -- A version that was replaced names the load that did it, so no sorting is needed to find the next one.
  SELECT n.company_id, n.connection_id, n.order_id, n.currency, n.snapshot_id, n.is_deleted,
    n.modified_date AS learned_at, n.source_modified_date AS happened_at, p.snapshot_id AS previous_snapshot_id,
    unnest([
      {'total_name': 'total_amount', 'from_amount': p.total_amount, 'to_amount': n.total_amount},
      {'total_name': 'total_refund', 'from_amount': p.total_refund, 'to_amount': n.total_refund},
      {'total_name': 'total_tax_amount', 'from_amount': p.total_tax_amount, 'to_amount': n.total_tax_amount},
      {'total_name': 'total_discount', 'from_amount': p.total_discount, 'to_amount': n.total_discount},
      {'total_name': 'total_gratuity', 'from_amount': p.total_gratuity, 'to_amount': n.total_gratuity}
    ]) AS step
  FROM current_once p
  JOIN current_once n
    ON n.connection_id = p.connection_id AND n.order_id = p.order_id AND n.snapshot_id = p.replaced_by
  WHERE p.replaced_by IS NOT NULL
)
SELECT company_id, connection_id, order_id, currency, step.total_name AS total_name, step.from_amount AS from_amount,
  step.to_amount AS to_amount, (step.to_amount - step.from_amount)::DECIMAL(18,4) AS difference,
  learned_at, happened_at, previous_snapshot_id, snapshot_id, is_deleted
FROM steps
WHERE step.from_amount <> step.to_amount;

-- view changes: The change feed: one thing that was inserted, updated or deleted by a load, in the order of the loads.
--   Replayed into an empty database it gives what orders_as_of gives at every snapshot. Versions that came late and were
--   never current are no change. A forgotten company leaves none.
-- grain: change_id
-- column change_id: Number of the change, BIGINT: larger in every later load, never given to another change. Not without
--   gaps.
-- column entity: orders, or the kind of record beside them: customers, products, locations, paymentMethods,
--   taxComponents, companyInfo. Lines, payments and service charges change with their order.
-- column id: The order's or record's id, unique within the connection and entity.
-- column change: inserted, updated or deleted.
CREATE VIEW main.changes AS
WITH versions AS (
  SELECT company_id, connection_id, 'orders' AS entity, order_id AS id, snapshot_id, replaced_by, is_deleted
  FROM ledger.order_versions
  WHERE replaced_by IS NULL OR replaced_by > snapshot_id
  UNION ALL
  SELECT company_id, connection_id, data_type AS entity, record_id AS id, snapshot_id, replaced_by, is_deleted
  FROM ledger.record_versions
  WHERE replaced_by IS NULL OR replaced_by > snapshot_id
)
SELECT n.snapshot_id * 1000000000 + row_number() OVER (PARTITION BY n.snapshot_id ORDER BY n.entity, n.id) AS change_id,
  n.company_id, n.connection_id, n.entity, n.id,
  CASE WHEN n.is_deleted THEN 'deleted' WHEN p.id IS NULL THEN 'inserted' ELSE 'updated' END AS "change", n.snapshot_id
FROM versions n
LEFT JOIN versions p
  ON p.connection_id = n.connection_id AND p.entity = n.entity AND p.id = n.id AND p.replaced_by = n.snapshot_id
  AND NOT p.is_deleted;

-- macro orders_as_of: orders as they were known at a snapshot: SELECT * FROM orders_as_of(42). Columns as in orders.
--   In a file that is attached under another name, say USE that_name first.
CREATE MACRO main.orders_as_of(as_of) AS TABLE
SELECT {order_columns()}
FROM ledger.order_versions
WHERE snapshot_id <= as_of AND (replaced_by IS NULL OR replaced_by > as_of) AND NOT is_deleted;

-- macro orders_at: orders as they were at Clover at a moment (UTC), by what was known at a snapshot. Changes that
--   happened later are left out even where they were known. Columns as in orders.
CREATE MACRO main.orders_at(as_of, moment) AS TABLE
SELECT * EXCLUDE (is_deleted)
FROM (
  SELECT {order_columns()}, is_deleted
  FROM ledger.order_versions
  WHERE snapshot_id <= as_of AND source_modified_date <= moment
  QUALIFY row_number() OVER (
    PARTITION BY connection_id, order_id
    ORDER BY source_modified_date DESC, snapshot_id DESC, replaced_by IS NULL DESC, content_hash DESC) = 1
)
WHERE NOT is_deleted;

-- macro monthly_sales_as_of: Monthly sales as they were known at a snapshot; columns as in monthly_sales without the
--   customers. In a file that is attached under another name, say USE that_name first.
CREATE MACRO main.monthly_sales_as_of(as_of) AS TABLE
{sales_by(month; booking.local_date; {first_in(month)}; snapshot_id <= as_of AND (replaced_by IS NULL OR replaced_by > as_of) AND NOT is_deleted)};
