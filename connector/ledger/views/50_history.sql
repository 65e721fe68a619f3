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

-- part versions_that_held(): Versions of orders and records that were current at some time.
SELECT company_id, connection_id, 'orders' AS entity, order_id AS id, snapshot_id, replaced_by, is_deleted
  FROM ledger.order_versions
  WHERE replaced_by IS NULL OR replaced_by > snapshot_id
  UNION ALL
  SELECT company_id, connection_id, data_type AS entity, record_id AS id, snapshot_id, replaced_by, is_deleted
  FROM ledger.record_versions
  WHERE replaced_by IS NULL OR replaced_by > snapshot_id

-- view changes: The change feed: one thing that was inserted, updated or deleted by a load, in the order of the loads.
--   Replayed into an empty database it gives what orders_as_of gives at every snapshot. Versions that came late and were
--   never current are no change. A forgotten company leaves none.
-- grain: change_id
-- values change: inserted, updated, deleted
-- column change_id: Number of the change, BIGINT: larger in every later load, never given to another change of the epoch.
--   Not without gaps.
-- column entity: orders, or the kind of record beside them: customers, products, locations, paymentMethods,
--   taxComponents, companyInfo; or connections for a setting that was corrected. Lines, payments and service charges
--   change with their order.
-- column id: The order's or record's id, unique within the connection and entity.
-- column change: inserted, updated or deleted.
-- column detail: What was corrected of a connection, as setting: before -> after. A corrected timezone moves the days of
--   all of its orders, so read them again. NULL for others.
CREATE VIEW main.changes AS
WITH versions AS (
  {versions_that_held()}
),
changed AS (
  SELECT n.company_id, n.connection_id, n.entity, n.id,
    CASE WHEN n.is_deleted THEN 'deleted' WHEN p.id IS NULL THEN 'inserted' ELSE 'updated' END AS "change",
    NULL AS detail, n.snapshot_id
  FROM versions n
  LEFT JOIN versions p
    ON p.connection_id = n.connection_id AND p.entity = n.entity AND p.id = n.id AND p.replaced_by = n.snapshot_id
    AND NOT p.is_deleted
  UNION ALL
  SELECT company_id, connection_id, 'connections' AS entity, connection_id AS id, 'updated' AS "change",
    "setting" || ': ' || coalesce(from_value, '(none)') || ' -> ' || coalesce(to_value, '(none)') AS detail, snapshot_id
  FROM ledger.setting_changes
)
SELECT snapshot_id * 1000000000 + row_number() OVER (PARTITION BY snapshot_id ORDER BY entity, id, detail) AS change_id,
  company_id, connection_id, entity, id, "change", detail, snapshot_id,
  (SELECT epoch FROM ledger.publication) AS epoch
FROM changed;

-- part stored(name): A table of the ledger in a macro, also of a file that is attached under another name. DuckDB looks
--   for it in the database that is in use, not in that of the macro, and would say only that there is no schema "ledger".
query_table(CASE WHEN attached_as IS NOT NULL THEN attached_as || '.ledger.<name>'
    WHEN current_database() IN ('memory', 'temp', 'system') THEN error('A macro reads the database in use. Say USE and the'
      || ' name under which its file is attached, or give the macro that name: attached_as := ''name''')
    ELSE 'ledger.<name>' END)

-- part snapshot_of(moment): The number of a snapshot, of its number or of a time.
(SELECT CASE
    WHEN (<moment>) IS NULL THEN error('NULL names no snapshot: there are ' || told.snapshots)
    WHEN try_cast((<moment>)::VARCHAR AS BIGINT) IS NOT NULL THEN
      CASE WHEN try_cast((<moment>)::VARCHAR AS BIGINT) BETWEEN told.first AND told.newest
        THEN try_cast((<moment>)::VARCHAR AS BIGINT)
        ELSE error('There is no snapshot ' || (<moment>)::VARCHAR || ': there are ' || told.snapshots) END
    WHEN try_cast((<moment>)::VARCHAR AS TIMESTAMP) IS NOT NULL THEN
      coalesce((SELECT max(snapshot_id) FROM {stored(snapshots)} WHERE loaded_at <= try_cast((<moment>)::VARCHAR AS TIMESTAMP)),
        error('Nothing had been loaded by ' || (<moment>)::VARCHAR || ' UTC: there are ' || told.snapshots))
    ELSE error((<moment>)::VARCHAR || ' is neither a snapshot nor a time: there are ' || told.snapshots) END
  FROM (
    SELECT min(snapshot_id) AS first, max(snapshot_id) AS newest,
      coalesce('snapshots ' || min(snapshot_id) || ' (' || min(loaded_at) || ' UTC) to ' || max(snapshot_id) || ' ('
        || max(loaded_at) || ' UTC)', 'no snapshots yet') AS snapshots
    FROM {stored(snapshots)}
  ) told)

-- part held_at(number): Whether a row was current at a snapshot.
snapshot_id <= <number> AND (replaced_by IS NULL OR replaced_by > <number>)

-- part versions_as_of(): The versions of orders that were current as of a snapshot.
(SELECT versions.*
  FROM {stored(order_versions)} versions, (SELECT {snapshot_of(as_of)} AS as_of_number) told
  WHERE {held_at(told.as_of_number)} AND NOT is_deleted)

-- part postings_as_of(): The postings that held as of a snapshot.
(SELECT postings.*
  FROM {stored(postings)} postings, (SELECT {snapshot_of(as_of)} AS as_of_number) told
  WHERE {held_at(told.as_of_number)}) postings WHERE true

-- macro orders_as_of: orders as they were known at a snapshot or at a time (UTC): SELECT * FROM orders_as_of(1), or
--   orders_as_of(TIMESTAMP '2026-03-31 23:59:59'). Columns as in orders. In a file that is attached under another name
--   say USE that_name first, or orders_as_of(1, attached_as := 'that_name'). The same holds for every macro here.
CREATE MACRO main.orders_as_of(as_of, attached_as := NULL) AS TABLE
SELECT {order_columns()} FROM {versions_as_of()};

-- macro order_line_items_as_of: order_line_items as they were known at a snapshot or a time. Columns as there.
CREATE MACRO main.order_line_items_as_of(as_of, attached_as := NULL) AS TABLE
SELECT {line_columns(coalesce(list_sum([share.total_amount FOR share IN line.discount_allocations]), 0)::DECIMAL(18,4))}
FROM (SELECT *, unnest(order_line_items) AS line FROM {versions_as_of()});

-- macro payments_as_of: payments, refunds among them, as they were known at a snapshot or a time. Columns as in payments.
CREATE MACRO main.payments_as_of(as_of, attached_as := NULL) AS TABLE
SELECT {payment_columns()} FROM (SELECT *, unnest(payments) AS payment FROM {versions_as_of()})
LEFT JOIN {zones({stored(connections)})} zone USING (connection_id);

-- macro daily_refunds_as_of: daily_refunds as they were known at a snapshot or a time. Columns as there.
CREATE MACRO main.daily_refunds_as_of(as_of, attached_as := NULL) AS TABLE
{refunds_by_day((SELECT {payment_columns()} FROM (SELECT *, unnest(payments) AS payment FROM {versions_as_of()})
    LEFT JOIN {zones({stored(connections)})} zone USING (connection_id)))};

-- macro journal_entries_as_of: journal_entries as they were known at a snapshot or a time. Columns as there.
CREATE MACRO main.journal_entries_as_of(as_of, attached_as := NULL) AS TABLE
{entries({postings_as_of()})};

-- macro orders_at: orders as they were at Clover at a moment (UTC), by what was known at a snapshot or a time. Changes that
--   happened later are left out even where they were known. Columns as in orders.
CREATE MACRO main.orders_at(as_of, moment, attached_as := NULL) AS TABLE
SELECT * EXCLUDE (is_deleted)
FROM (
  SELECT {order_columns()}, is_deleted
  FROM {stored(order_versions)}, (SELECT {snapshot_of(as_of)} AS as_of_number) told
  WHERE snapshot_id <= told.as_of_number AND source_modified_date <= moment
  QUALIFY row_number() OVER (
    PARTITION BY connection_id, order_id
    ORDER BY source_modified_date DESC, snapshot_id DESC, replaced_by IS NULL DESC, content_hash DESC) = 1
)
WHERE NOT is_deleted;

-- macro daily_sales_as_of: Daily sales as they were known at a snapshot or a time; columns as in daily_sales without the
--   customers.
CREATE MACRO main.daily_sales_as_of(as_of, attached_as := NULL) AS TABLE
{sales_by(day; local_date; {first_in(day)}; {postings_as_of()})};

-- macro daily_sales_by_order_date_as_of: The same by the day of the order; columns as in daily_sales_by_order_date
--   without the customers.
CREATE MACRO main.daily_sales_by_order_date_as_of(as_of, attached_as := NULL) AS TABLE
{sales_by(day; created_local_date; previous_refund IS NULL; {postings_as_of()})};

-- macro weekly_sales_as_of: Weekly sales as they were known at a snapshot or a time; columns as in weekly_sales without the
--   customers.
CREATE MACRO main.weekly_sales_as_of(as_of, attached_as := NULL) AS TABLE
{sales_by(week; local_date; {first_in(week)}; {postings_as_of()})};

-- macro weekly_sales_by_order_date_as_of: The same by the day of the order; columns as in weekly_sales_by_order_date
--   without the customers.
CREATE MACRO main.weekly_sales_by_order_date_as_of(as_of, attached_as := NULL) AS TABLE
{sales_by(week; created_local_date; previous_refund IS NULL; {postings_as_of()})};

-- macro monthly_sales_as_of: Monthly sales as they were known at a snapshot or a time; columns as in monthly_sales without the
--   customers.
CREATE MACRO main.monthly_sales_as_of(as_of, attached_as := NULL) AS TABLE
{sales_by(month; local_date; {first_in(month)}; {postings_as_of()})};

-- macro monthly_sales_by_order_date_as_of: The same by the day of the order; columns as in monthly_sales_by_order_date
--   without the customers.
CREATE MACRO main.monthly_sales_by_order_date_as_of(as_of, attached_as := NULL) AS TABLE
{sales_by(month; created_local_date; previous_refund IS NULL; {postings_as_of()})};

-- part validity(): Between which times a version was current.
version_from AS valid_from, version_to AS valid_to

-- part versions_with_validity(): Versions of orders that were current at some time, with the times of their loads.
(SELECT v.*, v.modified_date AS version_from, s.loaded_at AS version_to
  FROM ledger.order_versions v
  LEFT JOIN ledger.snapshots s ON s.snapshot_id = v.replaced_by
  WHERE (v.replaced_by IS NULL OR v.replaced_by > v.snapshot_id) AND NOT v.is_deleted)

-- view orders_history: One version of one order and between which loads it was the current one. An order as known at a
--   time is the row where valid_from <= time and time < valid_to, or valid_to IS NULL: plain SQL for tools that know no
--   macros. Deleted orders end.
-- grain: connection_id, order_id, snapshot_id
-- column valid_from: When it was loaded, UTC.
-- column valid_to: When the load that replaced it was, UTC; NULL for what is current.
-- column snapshot_id: The load that brought it.
-- column replaced_by: The load that replaced it; NULL for what is current.
CREATE VIEW main.orders_history AS
SELECT {order_columns()}, replaced_by, {validity()}
FROM {versions_with_validity()};

-- view order_line_items_history: One line of one version of an order, and between which loads that was the current one;
--   see orders_history.
-- grain: connection_id, order_id, line_id, snapshot_id
-- like: order_line_items
-- column valid_from: When the version of the order was loaded, UTC.
-- column valid_to: When the load that replaced it was, UTC; NULL for what is current.
-- column snapshot_id: The load that brought the version of the order.
-- column replaced_by: The load that replaced it; NULL for what is current.
CREATE VIEW main.order_line_items_history AS
SELECT {line_columns(ledger.discount_of(line.discount_allocations))}, replaced_by, {validity()}
FROM (SELECT *, unnest(order_line_items) AS line FROM {versions_with_validity()});

-- view payments_history: One payment of one version of an order, and between which loads that was the current one; see
--   orders_history.
-- grain: connection_id, order_id, payment_id, snapshot_id
-- like: payments
-- column valid_from: When the version of the order was loaded, UTC.
-- column valid_to: When the load that replaced it was, UTC; NULL for what is current.
-- column snapshot_id: The load that brought the version of the order.
-- column replaced_by: The load that replaced it; NULL for what is current.
CREATE VIEW main.payments_history AS
SELECT {payment_columns()}, replaced_by, {validity()}
FROM (SELECT *, unnest(payments) AS payment FROM {versions_with_validity()})
LEFT JOIN {zones(ledger.connections)} zone USING (connection_id);

-- part side_sums(side, condition): What postings of one side come to.
count(*) FILTER (event = 'sale' AND record_id IS NULL AND <condition>)::DECIMAL(38,4) AS <side>_orders,
    coalesce(sum(gross_sales) FILTER (<condition>), 0) AS <side>_gross, coalesce(sum(discounts) FILTER (<condition>), 0) AS <side>_discounts,
    coalesce(sum("returns") FILTER (<condition>), 0) AS <side>_returns,
    coalesce(sum(service_charges) FILTER (<condition>), 0) AS <side>_charges, coalesce(sum(tax) FILTER (<condition>), 0) AS <side>_tax,
    coalesce(sum(tips) FILTER (<condition>), 0) AS <side>_tips,
    coalesce(sum(overpayments) FILTER (<condition>), 0) AS <side>_overpayments,
    coalesce(sum(gift_cards_sold) FILTER (<condition>), 0) AS <side>_gift_cards,
    coalesce(sum(collected) FILTER (<condition>), 0) AS <side>_collected

-- part figures_of(side): The figures of monthly_sales from those sums, in their order.
[<side>_orders, <side>_gross, <side>_discounts, <side>_returns, <side>_gross - <side>_discounts - <side>_returns, <side>_charges,
      <side>_tax, <side>_gross - <side>_discounts - <side>_returns + <side>_charges + <side>_tax, <side>_tips, <side>_overpayments,
      <side>_gift_cards, <side>_collected, <side>_gross - <side>_discounts - <side>_returns + <side>_charges + <side>_tax + <side>_tips
      + <side>_overpayments + <side>_gift_cards - <side>_collected]

-- part figure_names(): Their names.
['orders', 'gross_sales', 'discounts', 'returns', 'net_sales', 'service_charges', 'tax', 'total_sales', 'tips',
      'overpayments', 'gift_cards_sold', 'amount_collected', 'receivable']

-- part postings_of_both(): The postings that held at one of two snapshots, and at which.
(SELECT postings.*, date_trunc('month', local_date)::DATE AS "month", {held_at(told.was_number)} AS was, {held_at(told.became_number)} AS became
  FROM {stored(postings)} postings,
    (SELECT {snapshot_of(from_snapshot)} AS was_number, {snapshot_of(to_snapshot)} AS became_number) told
  WHERE is_order_currency AND (of_connection IS NULL OR connection_id = of_connection))

-- part restated_orders(): The figures of every order that differs between two snapshots, by the month of the postings.
(SELECT company_id, connection_id, order_id, "month", currency,
    unnest({figure_names()}) AS figure, unnest({figures_of(was)}) AS was, unnest({figures_of(became)}) AS became
  FROM (
    SELECT company_id, connection_id, order_id, "month", currency, {side_sums(was; was)}, {side_sums(became; became)}
    FROM {postings_of_both()}
    WHERE was <> became
    GROUP BY company_id, connection_id, order_id, "month", currency
  ))

-- part presence(): Which orders that differ between two snapshots were there at each.
(SELECT connection_id, order_id, bool_or(was) AS was_there, bool_or(became) AS is_there
  FROM {postings_of_both()}
  WHERE was OR became
  GROUP BY connection_id, order_id)

-- macro restatement_orders: Why a month's figures of monthly_sales differ between two snapshots or times: one order and
--   what it added to the difference of one figure. SELECT * FROM restatement_orders(1, now()), or of one connection with
--   of_connection := 'its id'. Columns: company_id, month,
--   currency, figure (a column of monthly_sales), connection_id, order_id, why (new: learned since, also late; changed;
--   deleted), difference (major units; a number for orders).
CREATE MACRO main.restatement_orders(from_snapshot, to_snapshot, of_connection := NULL, attached_as := NULL) AS TABLE
SELECT company_id, "month", currency, figure, connection_id, order_id,
  CASE WHEN NOT was_there THEN 'new' WHEN NOT is_there THEN 'deleted' ELSE 'changed' END AS why,
  (became - was)::DECIMAL(38,4) AS difference
FROM {restated_orders()} restated
JOIN {presence()} presence USING (connection_id, order_id)
WHERE became <> was;

-- macro restatement: Figures of monthly_sales as told at one snapshot or time and as told at another:
--   SELECT * FROM restatement(1, now()), or with times, or of one connection with of_connection := 'its id'. One row a month, currency and figure that some order changed.
--   Columns: company_id, month, currency, figure (a column of monthly_sales), was, became, difference, and what of the
--   difference is of orders that are new (learned since, also late), changed and deleted (major units; numbers for
--   orders), and how many orders they are. restatement_orders names them; their differences sum to difference.
CREATE MACRO main.restatement(from_snapshot, to_snapshot, of_connection := NULL, attached_as := NULL) AS TABLE
WITH moved AS (
  SELECT company_id, "month", currency, figure,
    coalesce(sum(became - was) FILTER (NOT was_there), 0) AS new_difference,
    coalesce(sum(became - was) FILTER (was_there AND is_there), 0) AS changed_difference,
    coalesce(sum(became - was) FILTER (NOT is_there), 0) AS deleted_difference, count(*)::BIGINT AS orders
  FROM {restated_orders()} restated
  JOIN {presence()} presence USING (connection_id, order_id)
  WHERE became <> was
  GROUP BY company_id, "month", currency, figure
),
told AS (
  SELECT company_id, "month", currency, unnest({figure_names()}) AS figure, unnest({figures_of(was)}) AS was,
    unnest({figures_of(became)}) AS became
  FROM (
    SELECT company_id, "month", currency, {side_sums(was; was)}, {side_sums(became; became)}
    FROM {postings_of_both()}
    GROUP BY company_id, "month", currency
  )
)
SELECT company_id, "month", currency, figure, told.was::DECIMAL(38,4) AS was, told.became::DECIMAL(38,4) AS became,
  (told.became - told.was)::DECIMAL(38,4) AS difference, moved.new_difference::DECIMAL(38,4) AS new_difference,
  moved.changed_difference::DECIMAL(38,4) AS changed_difference,
  moved.deleted_difference::DECIMAL(38,4) AS deleted_difference, moved.orders
FROM moved JOIN told USING (company_id, "month", currency, figure);
