-- view calendar: One day of one company, also those without sales: from its first order to the day up to which its lists
--   were read. Join daily_sales by company_id and day.
-- grain: company_id, day
-- column day: The merchant's day.
-- column day_of_week: 1 Monday to 7 Sunday.
-- column is_weekend: Whether it is a Saturday or Sunday.
-- column week: The merchant's week, as its Monday.
-- column iso_week: The week as ISO 8601 writes it, such as 2026-W07.
-- column month: The merchant's month, as its first day.
-- column quarter: The merchant's quarter of the calendar year, as its first day.
-- column year: Calendar year.
-- column fiscal_year: Fiscal year, named after the calendar year in which it ends. It begins with the month that
--   fiscal_year_start of the company in config.yaml says, by default January: then it is the calendar year.
-- column fiscal_quarter: Quarter of the fiscal year, 1 to 4.
-- column fiscal_month: Month of the fiscal year, 1 to 12.
-- column has_orders: Whether an order was placed on the day.
CREATE VIEW main.calendar AS
WITH sold AS (
  SELECT company_id, created_local_date AS "day"
  FROM ledger.order_versions
  WHERE replaced_by IS NULL AND NOT is_deleted AND created_local_date IS NOT NULL
  GROUP BY ALL
),
read_until AS (
  SELECT c.company_id, max(timezone(c.timezone, timezone('UTC', s."cursor"))::DATE) AS "day",
    coalesce(max(c.fiscal_year_start), 1) AS fiscal_year_start
  FROM ledger.connections c
  LEFT JOIN ledger.sync_state s ON s.connection_id = c.connection_id
  GROUP BY c.company_id
),
spans AS (
  SELECT company_id, min(sold."day") AS first_day, greatest(max(sold."day"), any_value(r."day")) AS last_day,
    coalesce(any_value(r.fiscal_year_start), 1) AS fiscal_year_start
  FROM sold
  LEFT JOIN read_until r USING (company_id)
  GROUP BY company_id
),
days AS (
  SELECT company_id, fiscal_year_start,
    unnest(generate_series(first_day::TIMESTAMP, last_day::TIMESTAMP, INTERVAL 1 DAY))::DATE AS "day"
  FROM spans
),
numbered AS (
  SELECT *, (date_part('month', "day") - fiscal_year_start + 12) % 12 AS months_into
  FROM days
)
SELECT d.company_id, d."day", date_part('isodow', d."day") AS day_of_week, date_part('isodow', d."day") >= 6 AS is_weekend,
  date_trunc('week', d."day")::DATE AS "week", strftime(d."day", '%G-W%V') AS iso_week,
  date_trunc('month', d."day")::DATE AS "month", date_trunc('quarter', d."day")::DATE AS "quarter",
  date_part('year', d."day") AS "year",
  date_part('year', d."day") + CASE WHEN fiscal_year_start > 1 AND date_part('month', d."day") >= fiscal_year_start
    THEN 1 ELSE 0 END AS fiscal_year,
  months_into // 3 + 1 AS fiscal_quarter, months_into + 1 AS fiscal_month, s."day" IS NOT NULL AS has_orders
FROM numbered d
LEFT JOIN sold s ON s.company_id = d.company_id AND s."day" = d."day";

-- part per_head(amount, heads): An amount for each of so many, four decimals, rounded half away from zero: no double.
CASE WHEN <heads> > 0 THEN ((sign(<amount>)::HUGEINT * ((abs(<amount>) * 20000)::HUGEINT + <heads>)
    // (2 * <heads>)::HUGEINT) * 0.0001::DECIMAL(5,4))::DECIMAL(18,4) END

-- view lifetime_value: What one customer of a company has been worth so far, in one currency: all orders with everything
--   that was given back of them since. What is still to come is not guessed. Guests are left out.
-- grain: connection_id, customer_id, currency
-- references customer_orders: connection_id, customer_id, currency
-- column cohort_month: The merchant's month of the customer's first order in any currency, as its first day.
-- column first_day: The merchant's day of the first order in this currency.
-- column last_day: The merchant's day of the last order in this currency.
-- column months_with_orders: Number of months with an order in this currency.
-- column average_order_value: net_sales / orders, major units, rounded to four decimals; NULL without orders.
CREATE VIEW main.lifetime_value AS
-- Joined by the company too, so that a filter on it reaches every scan of the orders.
WITH firsts AS (
  SELECT company_id, connection_id, customer_id, date_trunc('month', min(created_local_date))::DATE AS cohort_month
  FROM ledger.order_versions
  WHERE replaced_by IS NULL AND NOT is_deleted AND customer_id IS NOT NULL
  GROUP BY company_id, connection_id, customer_id
),
months AS (
  SELECT company_id, connection_id, customer_id, currency,
    count(DISTINCT date_trunc('month', created_local_date))::BIGINT AS months_with_orders
  FROM ledger.order_versions
  WHERE replaced_by IS NULL AND NOT is_deleted AND customer_id IS NOT NULL
  GROUP BY company_id, connection_id, customer_id, currency
)
SELECT company_id, connection_id, customer_id, c.customer_name, currency, f.cohort_month, c.first_day, c.last_day,
  m.months_with_orders, c.orders, c.gross_sales, c.discounts, c."returns", c.net_sales, c.refunded_orders,
  {per_head(c.net_sales; c.orders)} AS average_order_value
FROM main.customer_orders c
JOIN firsts f USING (company_id, connection_id, customer_id)
JOIN months m USING (company_id, connection_id, customer_id, currency);

-- view cohort_retention: The customers of one company whose first order fell in one month, and what they did so many months
--   later, in one currency; also months in which none of them came. Sales are booked by the day of the order, as in
--   monthly_sales_by_order_date. Guests are left out.
-- grain: company_id, cohort_month, months_later, currency
-- column cohort_month: The merchant's month of the first orders, in any currency, as its first day.
-- column months_later: Months since cohort_month; 0 is that month itself.
-- column month: The merchant's month that is looked at, as its first day.
-- column cohort_customers: Number of customers in the cohort, whatever they paid in.
-- column customers: Those of them with an order in this month and currency.
-- column retention: customers / cohort_customers, 0 to 1, rounded to four decimals.
-- column orders: Number of their orders in the month.
-- column net_sales: Of these orders: gross_sales - discounts - returns, major units, whenever they came back.
-- column cumulative_net_sales: net_sales of the cohort from its first month to this one, major units.
-- column lifetime_value: cumulative_net_sales / cohort_customers, major units, rounded to four decimals.
CREATE VIEW main.cohort_retention AS
-- One scan leads to the result, without a join of two results: a filter on the company reaches the orders.
WITH visits AS (
  SELECT company_id, connection_id, customer_id, currency, "month",
    count(*) FILTER (booking.event = 'sale' AND booking.record_id IS NULL)::BIGINT AS orders,
    sum(booking.gross_sales - booking.discounts - booking."returns") FILTER (booking.currency = currency) AS net_sales
  FROM (
    SELECT company_id, connection_id, customer_id, currency, date_trunc('month', created_local_date)::DATE AS "month",
      unnest(bookings) AS booking
    FROM ledger.order_versions
    WHERE replaced_by IS NULL AND NOT is_deleted AND customer_id IS NOT NULL
  )
  GROUP BY company_id, connection_id, customer_id, currency, "month"
),
firsts AS (
  SELECT company_id, connection_id, customer_id, date_trunc('month', min(created_local_date))::DATE AS cohort_month,
    arg_min_null(currency, created_local_date) AS currency
  FROM ledger.order_versions
  WHERE replaced_by IS NULL AND NOT is_deleted AND customer_id IS NOT NULL
  GROUP BY company_id, connection_id, customer_id
),
bought AS (
  SELECT v.company_id, f.cohort_month, v."month", v.currency, count(*)::BIGINT AS customers,
    -- Each customer once, whatever currencies he pays in.
    count(*) FILTER (v."month" = f.cohort_month AND v.currency IS NOT DISTINCT FROM f.currency) AS newcomers,
    sum(v.orders)::BIGINT AS orders, sum(v.net_sales) AS net_sales
  FROM visits v
  JOIN firsts f USING (company_id, connection_id, customer_id)
  GROUP BY v.company_id, f.cohort_month, v."month", v.currency
),
cohorts AS (
  SELECT company_id, cohort_month, currency,
    (sum(sum(newcomers)) OVER (PARTITION BY company_id, cohort_month))::BIGINT AS cohort_customers,
    max(max("month")) OVER (PARTITION BY company_id) AS last_month,
    map_from_entries(list(struct_pack(months_later := date_diff('month', cohort_month, "month"),
      sales := struct_pack(customers := customers, orders := orders, net_sales := net_sales)))) AS visited
  FROM bought
  GROUP BY company_id, cohort_month, currency
),
shown AS (
  SELECT *, unnest(generate_series(0, date_diff('month', cohort_month, last_month))) AS months_later FROM cohorts
),
filled AS (
  SELECT company_id, cohort_month, months_later, (cohort_month + to_months(months_later::INTEGER))::DATE AS "month", currency,
    cohort_customers, coalesce(visited[months_later].customers, 0) AS customers,
    coalesce(visited[months_later].orders, 0) AS orders, coalesce(visited[months_later].net_sales, 0) AS net_sales
  FROM shown
),
added AS (
  SELECT *, sum(net_sales) OVER (
    PARTITION BY company_id, cohort_month, currency ORDER BY months_later) AS cumulative_net_sales
  FROM filled
)
SELECT company_id, cohort_month, months_later, "month", currency, cohort_customers, customers,
  {per_head(customers::DECIMAL(18,4); cohort_customers)}::DECIMAL(9,4) AS retention, orders, net_sales,
  cumulative_net_sales, {per_head(cumulative_net_sales; cohort_customers)} AS lifetime_value
FROM added;

-- view monthly_discounts: Discounts of one name that one company gave in one month of the merchant, in one currency, by the
--   day of the sale; those of goods that came back on the day of the refund. Summed over names, discounts is that of
--   monthly_sales: those of gift cards are left out.
-- grain: company_id, month, currency, name
-- column name: Name of the discount at Clover; (none) where it has none.
-- column orders: Orders on which it was given in the month.
-- column discounts: Given on goods sold, major units, positive.
-- column discounts_returned: The part on goods that came back in the month, whenever they were sold, major units, positive.
CREATE VIEW main.monthly_discounts AS
SELECT company_id, date_trunc('month', local_date)::DATE AS "month", currency, coalesce(share."name", '(none)') AS "name",
  count(DISTINCT (connection_id, order_id)) FILTER (NOT is_refund)::BIGINT AS orders,
  coalesce(sum(share.total_amount) FILTER (NOT is_refund), 0) AS discounts,
  coalesce(-sum(share.total_amount) FILTER (is_refund), 0) AS discounts_returned
FROM (
  SELECT company_id, connection_id, order_id, currency, coalesce(line.local_date, created_local_date) AS local_date,
    line.quantity < 0 AS is_refund, unnest(line.discount_allocations) AS share
  FROM (
    SELECT company_id, connection_id, order_id, currency, created_local_date, unnest(order_line_items) AS line
    FROM ledger.order_versions
    WHERE replaced_by IS NULL AND NOT is_deleted
  )
  WHERE line.kind <> 'gift_card'
)
GROUP BY company_id, "month", currency, coalesce(share."name", '(none)');

-- view daily_tips: Tips of one company on one day of the merchant by way of paying, in one currency, by the day the tip was
--   paid or given back: for sharing them out. Over all days it comes to the tips of daily_sales, which has them on the day
--   of the order. Where several charges paid an order and Clover's tips of them do not come to the order's, all of it is
--   on the last of them.
-- grain: company_id, day, currency, payment_type
-- values payment_type: OnlineCard, Card, Cash, Paypal, Prepaid, Custom, Unknown
-- column day: The merchant's day of the charge that held the tip, or of the refund that gave it back.
-- column payment_type: OnlineCard, Card, Cash, Paypal, Prepaid, Custom or Unknown.
-- column charges: Number of charges with a tip.
-- column tips_charged: Tips charged, major units.
-- column tips_given_back: Tips given back, major units, positive.
-- column tips: tips_charged - tips_given_back, major units.
CREATE VIEW main.daily_tips AS
WITH booked AS (
  SELECT company_id, connection_id, order_id, currency, created_local_date, unnest(bookings) AS booking
  FROM ledger.order_versions
  WHERE replaced_by IS NULL AND NOT is_deleted
),
charged AS (
  SELECT company_id, connection_id, order_id, currency, any_value(created_local_date) AS created_local_date,
    sum(booking.tips) AS tips
  FROM booked
  WHERE booking.event = 'sale' AND booking.currency = currency AND booking.tips <> 0
  GROUP BY company_id, connection_id, order_id, currency
),
paid AS (
  SELECT c.*, p.payment.id AS charge_id, p.payment.local_date AS local_date, p.payment."type" AS payment_type,
    count(*) OVER (PARTITION BY c.connection_id, c.order_id) AS charges,
    row_number() OVER (PARTITION BY c.connection_id, c.order_id
      ORDER BY p.payment.created_date DESC, p.payment.id DESC) AS from_last
  FROM charged c
  LEFT JOIN (
    SELECT connection_id, order_id, currency, payment
    FROM (
      SELECT connection_id, order_id, currency, unnest(payments) AS payment
      FROM ledger.order_versions
      WHERE replaced_by IS NULL AND NOT is_deleted
    )
    WHERE payment.status = 'Paid' AND NOT payment.is_refund AND coalesce(payment.currency, currency) = currency
  ) p ON p.connection_id = c.connection_id AND p.order_id = c.order_id
),
asked AS (
  -- Clover's own words are long, so only those of charges that share an order with others are read, by their place.
  SELECT connection_id, record_id, try_cast(payload ->> '$.tip_amount' AS BIGINT) AS minor
  FROM ledger.source_records
  WHERE rowid IN (
    SELECT r.rowid
    FROM ledger.source_records r
    JOIN paid p ON p.charges > 1 AND r.connection_id = p.connection_id AND r.record_id = p.charge_id
    WHERE r.kind = 'charge' AND r.replaced_by IS NULL)
),
told AS (
  SELECT p.*, coalesce({major_units(minor, currency)}, 0) AS tip
  FROM paid p
  LEFT JOIN asked a ON a.connection_id = p.connection_id AND a.record_id = p.charge_id
),
tips AS (
  SELECT company_id, coalesce(local_date, created_local_date) AS "day", currency,
    coalesce(payment_type, 'Unknown') AS payment_type, false AS is_back,
    CASE WHEN sum(tip) OVER (PARTITION BY connection_id, order_id) = tips THEN tip
      WHEN from_last = 1 THEN tips ELSE 0 END AS tips
  FROM told
  UNION ALL
  SELECT company_id, booking.local_date AS "day", currency, coalesce(booking.payment_type, 'Unknown') AS payment_type,
    true AS is_back, booking.tips AS tips
  FROM booked
  WHERE booking.event = 'refund' AND booking.currency = currency AND booking.tips <> 0
)
SELECT company_id, "day", currency, payment_type, count(*) FILTER (NOT is_back)::BIGINT AS charges,
  coalesce(sum(tips) FILTER (NOT is_back), 0) AS tips_charged,
  coalesce(-sum(tips) FILTER (is_back), 0) AS tips_given_back, sum(tips) AS tips
FROM tips
WHERE tips <> 0
GROUP BY company_id, "day", currency, payment_type;
