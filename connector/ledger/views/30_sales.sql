-- view daily_sales: Sales of one company on one day of the merchant, in one currency. A refund is booked on the day of
--   the sale it belongs to, so past days change when a late refund arrives; by the day of the refund see daily_refunds.
-- grain: company_id, day, currency
CREATE VIEW main.daily_sales AS
-- Each part scans the orders by itself: what is named twice is written out whole first, and who asks for no customers
-- would wait for them to be counted.
WITH sales AS (
  SELECT company_id, created_local_date AS "day", currency, count(*)::BIGINT AS orders,
    sum(total_amount) AS net_sales, sum(total_refund) AS refunds, sum(total_discount) AS discounts,
    sum(sold_discount) AS discounts_as_sold, sum(total_tax_amount) AS tax, sum(sold_tax_amount) AS tax_as_sold,
    sum(total_gratuity) AS gratuity, sum(service_charges_amount) AS service_charges,
    sum(paid_amount) AS money_received, count(*) FILTER (total_refund < 0)::BIGINT AS refunded_orders
  FROM ledger.order_versions
  WHERE replaced_by IS NULL AND NOT is_deleted
  GROUP BY company_id, "day", currency
),
visits AS (
  SELECT company_id, created_local_date AS "day", currency, connection_id, customer_id
  FROM ledger.order_versions
  WHERE replaced_by IS NULL AND NOT is_deleted AND customer_id IS NOT NULL
  GROUP BY ALL
),
firsts AS (
  SELECT company_id, connection_id, customer_id, min(created_local_date) AS first_day
  FROM ledger.order_versions
  WHERE replaced_by IS NULL AND NOT is_deleted AND customer_id IS NOT NULL
  GROUP BY ALL
),
customers AS (
  SELECT company_id, "day", currency, count(*) FILTER (first_day = "day")::BIGINT AS new_customers,
    count(*) FILTER (first_day < "day")::BIGINT AS returning_customers
  FROM visits
  JOIN firsts USING (company_id, connection_id, customer_id)
  GROUP BY company_id, "day", currency
)
SELECT s.company_id, s."day", s.currency, s.orders, s.net_sales - s.refunds AS gross_sales, s.discounts,
  s.discounts_as_sold, s.refunds, s.net_sales, s.tax, s.tax_as_sold, s.gratuity, s.service_charges, s.money_received,
  s.refunded_orders, coalesce(c.new_customers, 0) AS new_customers,
  coalesce(c.returning_customers, 0) AS returning_customers
FROM sales s
LEFT JOIN customers c ON c.company_id = s.company_id AND c."day" = s."day" AND c.currency = s.currency;

-- view monthly_sales: Sales of one company in one month of the merchant, in one currency. Refunds are booked in the
--   month of the sale they belong to.
-- grain: company_id, month, currency
CREATE VIEW main.monthly_sales AS
WITH sales AS (
  SELECT company_id, date_trunc('month', created_local_date)::DATE AS "month", currency, count(*)::BIGINT AS orders,
    sum(total_amount) AS net_sales, sum(total_refund) AS refunds, sum(total_discount) AS discounts,
    sum(sold_discount) AS discounts_as_sold, sum(total_tax_amount) AS tax, sum(sold_tax_amount) AS tax_as_sold,
    sum(total_gratuity) AS gratuity, sum(service_charges_amount) AS service_charges,
    sum(paid_amount) AS money_received, count(*) FILTER (total_refund < 0)::BIGINT AS refunded_orders
  FROM ledger.order_versions
  WHERE replaced_by IS NULL AND NOT is_deleted
  GROUP BY company_id, "month", currency
),
visits AS (
  SELECT company_id, date_trunc('month', created_local_date)::DATE AS "month", currency, connection_id, customer_id
  FROM ledger.order_versions
  WHERE replaced_by IS NULL AND NOT is_deleted AND customer_id IS NOT NULL
  GROUP BY ALL
),
firsts AS (
  SELECT company_id, connection_id, customer_id, min(date_trunc('month', created_local_date)::DATE) AS first_month
  FROM ledger.order_versions
  WHERE replaced_by IS NULL AND NOT is_deleted AND customer_id IS NOT NULL
  GROUP BY ALL
),
customers AS (
  SELECT company_id, "month", currency, count(*) FILTER (first_month = "month")::BIGINT AS new_customers,
    count(*) FILTER (first_month < "month")::BIGINT AS returning_customers
  FROM visits
  JOIN firsts USING (company_id, connection_id, customer_id)
  GROUP BY company_id, "month", currency
)
SELECT s.company_id, s."month", s.currency, s.orders, s.net_sales - s.refunds AS gross_sales, s.discounts,
  s.discounts_as_sold, s.refunds, s.net_sales, s.tax, s.tax_as_sold, s.gratuity, s.service_charges, s.money_received,
  s.refunded_orders, coalesce(c.new_customers, 0) AS new_customers,
  coalesce(c.returning_customers, 0) AS returning_customers
FROM sales s
LEFT JOIN customers c ON c.company_id = s.company_id AND c."month" = s."month" AND c.currency = s.currency;

-- view daily_refunds: Money one company gave back on one day of the merchant, in one currency, by the day of the refund.
-- grain: company_id, day, currency
-- column day: The merchant's day of the refund, not of the sale.
-- column refunds: Number of refunds given.
-- column refunded_amount: Money given back, major units, never positive; tips given back included.
-- column refunded_orders: Number of orders that got money back.
CREATE VIEW main.daily_refunds AS
SELECT company_id, local_date AS "day", currency, count(*)::BIGINT AS refunds, sum(amount) AS refunded_amount,
  count(DISTINCT (connection_id, order_id))::BIGINT AS refunded_orders
FROM main.payments
WHERE is_refund AND status = 'Paid'
GROUP BY company_id, local_date, currency;

-- view payments_by_day: Money that moved on one day of the merchant, by way of paying and currency. Only status Paid.
-- grain: company_id, day, currency, payment_type
-- column day: The merchant's day of the charge or refund.
-- column payment_type: OnlineCard, Card, Cash, Paypal, Prepaid, Custom or Unknown.
-- column charges: Number of charges.
-- column charged_amount: Money charged, major units, tips in.
-- column refunds: Number of refunds.
-- column refunded_amount: Money given back, major units, never positive.
-- column net_amount: charged_amount + refunded_amount, major units.
CREATE VIEW main.payments_by_day AS
SELECT company_id, local_date AS "day", currency, coalesce("type", 'Unknown') AS payment_type,
  count(*) FILTER (NOT is_refund)::BIGINT AS charges, coalesce(sum(amount) FILTER (NOT is_refund), 0) AS charged_amount,
  count(*) FILTER (is_refund)::BIGINT AS refunds, coalesce(sum(amount) FILTER (is_refund), 0) AS refunded_amount,
  sum(amount) AS net_amount
FROM main.payments
WHERE status = 'Paid'
GROUP BY company_id, local_date, currency, coalesce("type", 'Unknown');

-- view money_received: Money that moved for the orders of one company and month of the merchant, by the currency of the
--   orders and by the currency it was paid in. Only status Paid. Amounts of two currencies are never added: in the rows
--   where both are the same, net_amount is money_received of monthly_sales.
-- grain: company_id, month, order_currency, currency
-- column month: The merchant's month of the order, as its first day.
-- column order_currency: Currency of the orders.
-- column currency: Currency of the payments, and of every amount of the row.
-- column orders: Orders with a payment in this currency.
-- column charged_amount: Money charged, major units, tips in.
-- column refunded_amount: Money given back, major units, never positive.
-- column net_amount: charged_amount + refunded_amount, major units.
CREATE VIEW main.money_received AS
SELECT company_id, date_trunc('month', created_local_date)::DATE AS "month", order_currency, currency,
  count(DISTINCT (connection_id, order_id))::BIGINT AS orders,
  coalesce(sum(amount) FILTER (NOT is_refund), 0) AS charged_amount,
  coalesce(sum(amount) FILTER (is_refund), 0) AS refunded_amount, sum(amount) AS net_amount
FROM (
  SELECT company_id, connection_id, order_id, created_local_date, currency AS order_currency,
    coalesce(payment.currency, currency) AS currency, payment.amount AS amount, payment.is_refund AS is_refund
  FROM (
    SELECT company_id, connection_id, order_id, created_local_date, currency, unnest(payments) AS payment
    FROM ledger.order_versions
    WHERE replaced_by IS NULL AND NOT is_deleted
  )
  WHERE payment.status = 'Paid'
)
GROUP BY ALL;

-- view payment_types: Payments of one company by way of paying, status and currency. Only status Paid is money.
-- grain: company_id, currency, payment_type, status
-- column payment_type: OnlineCard, Card, Cash, Paypal, Prepaid, Custom or Unknown.
-- column status: Paid, Authorized, Pending, Failed, Cancelled or Unknown.
-- column charges: Number of charges.
-- column charged_amount: Sum of the charges, major units, tips in.
-- column refunds: Number of refunds.
-- column refunded_amount: Sum of the refunds, major units, never positive.
CREATE VIEW main.payment_types AS
SELECT company_id, currency, coalesce("type", 'Unknown') AS payment_type, coalesce(status, 'Unknown') AS status,
  count(*) FILTER (NOT is_refund)::BIGINT AS charges, coalesce(sum(amount) FILTER (NOT is_refund), 0) AS charged_amount,
  count(*) FILTER (is_refund)::BIGINT AS refunds, coalesce(sum(amount) FILTER (is_refund), 0) AS refunded_amount
FROM main.payments
GROUP BY company_id, currency, coalesce("type", 'Unknown'), coalesce(status, 'Unknown');

-- view product_sales: Sales of one product of a company in one month of the merchant, in one currency. Lines that name
--   no product, such as refunds that name no goods, are under the product (none). Service charges are in no product.
-- grain: company_id, connection_id, product_id, month, currency
-- column product_id: Clover's id of the inventory item, or (none).
-- column month: The merchant's month of the sale, as its first day; refunds are booked there too.
-- column product_name: One of the names it was sold under.
-- column quantity_sold: Units sold.
-- column quantity_returned: Units returned, never positive.
-- column gross_sales: Sum of the sale lines, major units, tax in, discounts off.
-- column refunds: Sum of the refund lines, major units, never positive.
-- column net_sales: gross_sales + refunds, major units.
-- column tax: Tax of all lines, major units, net of refunded tax; inside net_sales.
CREATE VIEW main.product_sales AS
SELECT company_id, connection_id, coalesce(line.product_id, '(none)') AS product_id,
  date_trunc('month', created_local_date)::DATE AS "month", currency, max(line.product_name) AS product_name,
  coalesce(sum(line.quantity) FILTER (line.quantity > 0), 0) AS quantity_sold,
  coalesce(sum(line.quantity) FILTER (line.quantity < 0), 0) AS quantity_returned,
  coalesce(sum(line.total_amount) FILTER (line.quantity >= 0), 0) AS gross_sales,
  coalesce(sum(line.total_amount) FILTER (line.quantity < 0), 0) AS refunds,
  sum(line.total_amount) AS net_sales, sum(line.total_tax_amount) AS tax
FROM (
  SELECT company_id, connection_id, created_local_date, currency, unnest(order_line_items) AS line
  FROM ledger.order_versions
  WHERE replaced_by IS NULL AND NOT is_deleted
)
GROUP BY ALL;
