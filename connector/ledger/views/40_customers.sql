-- view customer_orders: One customer of a company in one currency: how often, how much, since when. Guests are left out.
-- grain: connection_id, customer_id, currency
-- references customers: connection_id, customer_id
-- column first_order_date: When the first order was placed, UTC.
-- column last_order_date: When the last order was placed, UTC.
-- column first_day: The merchant's day of the first order.
-- column last_day: The merchant's day of the last order.
CREATE VIEW main.customer_orders AS
SELECT company_id, connection_id, customer_id, currency, arg_max(customer_name, created_date) AS customer_name,
  count(*) FILTER (booking.event = 'sale' AND booking.record_id IS NULL)::BIGINT AS orders,
  min(created_date) AS first_order_date, max(created_date) AS last_order_date,
  min(created_local_date) AS first_day, max(created_local_date) AS last_day, sum(booking.gross_sales) AS gross_sales,
  sum(booking.discounts) AS discounts, sum(booking."returns") AS "returns",
  sum(booking.gross_sales) - sum(booking.discounts) - sum(booking."returns") AS net_sales, sum(booking.tips) AS tips,
  count(*) FILTER (booking.event = 'refund' AND booking.previous_refund IS NULL)::BIGINT AS refunded_orders
FROM (
  SELECT company_id, connection_id, customer_id, currency, customer_name, created_date, created_local_date,
    unnest(bookings) AS booking
  FROM ledger.order_versions
  WHERE replaced_by IS NULL AND NOT is_deleted AND customer_id IS NOT NULL
)
WHERE booking.currency = currency
GROUP BY company_id, connection_id, customer_id, currency;

-- view monthly_customers: Customers of one company in one month of the merchant, over all currencies.
-- grain: company_id, month
-- column orders: Number of orders, guests' orders included.
-- column guest_orders: Number of orders without a customer.
-- column new_customers: Customers whose first order ever falls in the month.
-- column returning_customers: Customers of the month who had ordered in an earlier month.
-- column customers: new_customers + returning_customers.
CREATE VIEW main.monthly_customers AS
WITH visits AS (
  SELECT company_id, connection_id, customer_id, date_trunc('month', created_local_date)::DATE AS "month",
    count(*)::BIGINT AS orders
  FROM ledger.order_versions
  WHERE replaced_by IS NULL AND NOT is_deleted
  GROUP BY ALL
),
firsts AS (
  SELECT company_id, connection_id, customer_id, min("month") AS first_month
  FROM visits
  WHERE customer_id IS NOT NULL
  GROUP BY ALL
)
SELECT v.company_id, v."month", sum(v.orders)::BIGINT AS orders,
  coalesce(sum(v.orders) FILTER (v.customer_id IS NULL), 0)::BIGINT AS guest_orders,
  count(*) FILTER (f.first_month = v."month")::BIGINT AS new_customers,
  count(*) FILTER (f.first_month < v."month")::BIGINT AS returning_customers,
  count(f.first_month)::BIGINT AS customers
FROM visits v
LEFT JOIN firsts f
  ON f.company_id = v.company_id AND f.connection_id = v.connection_id AND f.customer_id = v.customer_id
GROUP BY v.company_id, v."month";

-- part recurring(): Pairs of a customer and a product with each month in which they recur; ends in the table counted.
WITH regulars AS (
  -- Only who ordered in three months in a row at all can have bought one thing in them, and few did: the lines of the
  -- others are never read. One bit a month, numbered round a circle of 60; bits that meet after five years let a few
  -- customers more through, which are counted exactly below.
  SELECT company_id, connection_id, customer_id,
    bit_or(1::UBIGINT << ((date_part('year', created_local_date) * 12 + date_part('month', created_local_date))
      % 60)::INTEGER) AS months
  FROM ledger.order_versions
  WHERE replaced_by IS NULL AND NOT is_deleted AND customer_id IS NOT NULL
  GROUP BY company_id, connection_id, customer_id
  HAVING months & (((months << 1) | (months >> 59)) & ((1::UBIGINT << 60) - 1))
    & (((months << 2) | (months >> 58)) & ((1::UBIGINT << 60) - 1)) <> 0
),
bought AS (
  -- The orders are scanned again rather than named once: what is named twice is written out whole first.
  SELECT company_id, connection_id, customer_id, line.product_id AS product_id, currency,
    date_trunc('month', created_local_date)::DATE AS "month", sum(line.total_amount - line.total_tax_amount) AS revenue,
    bool_or(line.quantity > 0) AS has_sale
  FROM (
    SELECT company_id, connection_id, customer_id, currency, created_local_date, unnest(order_line_items) AS line
    FROM ledger.order_versions
    SEMI JOIN regulars USING (company_id, connection_id, customer_id)
    WHERE replaced_by IS NULL AND NOT is_deleted AND customer_id IS NOT NULL
  )
  WHERE line.product_id IS NOT NULL
  GROUP BY ALL
  HAVING has_sale
),
often AS (
  -- Few pairs come back in three months: the others are dropped before anything is sorted.
  SELECT company_id, connection_id, customer_id, product_id, currency,
    unnest(list({'month': "month", 'revenue': revenue})) AS bought
  FROM bought
  GROUP BY company_id, connection_id, customer_id, product_id, currency
  HAVING count(*) >= 3
),
numbered AS (
  -- Months in a row keep the same difference between their number and their rank.
  SELECT * EXCLUDE (bought), bought."month" AS "month", bought.revenue AS revenue,
    date_part('year', bought."month") * 12 + date_part('month', bought."month") - row_number() OVER (
      PARTITION BY company_id, connection_id, customer_id, product_id, currency ORDER BY bought."month") AS streak
  FROM often
),
counted AS (
  SELECT *, count(*) OVER (
    PARTITION BY company_id, connection_id, customer_id, product_id, currency, streak) AS months_in_a_row
  FROM numbered
)

-- view monthly_recurring_revenue: Revenue in one month of the merchant that recurs: a customer and a product count in
--   a month when the customer bought that product in at least three months in a row and the month is one of them.
--   Clover Ecommerce has no subscriptions; this is what buying habits show. Guests and lines without a product never count.
-- grain: company_id, month, currency
-- column recurring_revenue: Revenue of these pairs, major units: line totals less tax, discounts and refunds off.
-- column customers: Customers with at least one such pair.
-- column pairs: Pairs of customer and product.
CREATE VIEW main.monthly_recurring_revenue AS
{recurring()}
SELECT company_id, "month", currency, sum(revenue) AS recurring_revenue,
  count(DISTINCT (connection_id, customer_id))::BIGINT AS customers, count(*)::BIGINT AS pairs
FROM counted
WHERE months_in_a_row >= 3
GROUP BY company_id, "month", currency;

-- view customer_recurring_revenue: Revenue of one customer in one month of the merchant that recurs, in one currency: what
--   monthly_recurring_revenue adds up, customer by customer.
-- grain: connection_id, customer_id, month, currency
-- references customers: connection_id, customer_id
-- column recurring_revenue: Revenue of the products that recur, major units: line totals less tax, discounts and refunds
--   off.
-- column products: Products that the customer bought in this month and in at least three months in a row with it.
-- column months_in_a_row: The longest such row of months that this month is in.
CREATE VIEW main.customer_recurring_revenue AS
{recurring()}
SELECT company_id, connection_id, customer_id, "month", currency, sum(revenue) AS recurring_revenue,
  count(*)::BIGINT AS products, max(months_in_a_row)::BIGINT AS months_in_a_row
FROM counted
WHERE months_in_a_row >= 3
GROUP BY company_id, connection_id, customer_id, "month", currency;
