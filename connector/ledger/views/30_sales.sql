-- part sales_by(period, day, refunded, postings): Figures of one company in one period and currency, from postings: those
--   of one state. refunded: whether a refund is the first of its order in the period.
SELECT company_id, date_trunc('<period>', <day>)::DATE AS "<period>", currency,
  count(*) FILTER (event = 'sale' AND record_id IS NULL)::BIGINT AS orders,
  sum(gross_sales) AS gross_sales, sum(discounts) AS discounts, sum("returns") AS "returns",
  sum(gross_sales) - sum(discounts) - sum("returns") AS net_sales,
  sum(service_charges) AS service_charges, sum(tax) AS tax,
  sum(gross_sales) - sum(discounts) - sum("returns") + sum(service_charges) + sum(tax) AS total_sales,
  sum(tips) AS tips, sum(overpayments) AS overpayments, sum(gift_cards_sold) AS gift_cards_sold,
  sum(collected) AS amount_collected,
  sum(gross_sales) - sum(discounts) - sum("returns") + sum(service_charges) + sum(tax) + sum(tips) + sum(overpayments)
    + sum(gift_cards_sold) - sum(collected) AS receivable,
  count(*) FILTER (event = 'refund' AND (<refunded>))::BIGINT AS refunded_orders
FROM <postings> AND is_order_currency
GROUP BY company_id, "<period>", currency

-- part sales_view(period, day, refunded): sales_by of current orders, with the customers of the period.
-- Each part scans the orders by itself: what is named twice is written out whole first, and who asks for no customers
-- would wait for them to be counted.
WITH sales AS (
{sales_by(<period>; <day>; <refunded>; ledger.postings WHERE replaced_by IS NULL)}
),
visits AS (
  SELECT company_id, date_trunc('<period>', created_local_date)::DATE AS "<period>", currency, connection_id, customer_id
  FROM ledger.order_versions
  WHERE replaced_by IS NULL AND NOT is_deleted AND customer_id IS NOT NULL
  GROUP BY ALL
),
firsts AS (
  SELECT company_id, connection_id, customer_id, min(date_trunc('<period>', created_local_date)::DATE) AS first_period
  FROM ledger.order_versions
  WHERE replaced_by IS NULL AND NOT is_deleted AND customer_id IS NOT NULL
  GROUP BY ALL
),
customers AS (
  SELECT company_id, "<period>", currency, count(*) FILTER (first_period = "<period>")::BIGINT AS new_customers,
    count(*) FILTER (first_period < "<period>")::BIGINT AS returning_customers
  FROM visits
  JOIN firsts USING (company_id, connection_id, customer_id)
  GROUP BY company_id, "<period>", currency
)
SELECT s.*, coalesce(c.new_customers, 0) AS new_customers, coalesce(c.returning_customers, 0) AS returning_customers
FROM sales s
LEFT JOIN customers c ON c.company_id = s.company_id AND c."<period>" = s."<period>" AND c.currency = s.currency

-- part first_in(period): Whether a refund is the first of its order in a period.
previous_refund IS NULL OR date_trunc('<period>', previous_refund) <> date_trunc('<period>', local_date)

-- part happened(period): sales_view by the day each thing happened.
{sales_view(<period>; local_date; {first_in(<period>)})}

-- view daily_sales: Sales of one company on one day of the merchant, in one currency, by the day each thing happened: a sale
--   on its day, a return with its tax, tip and service charge on the day of the refund, money on the day it moved. A
--   closed day changes only by what was learned late.
-- grain: company_id, day, currency
CREATE VIEW main.daily_sales AS
{happened(day)};

-- view weekly_sales: Sales of one company in one week of the merchant, in one currency, by the day each thing happened: a sale
--   on its day, a return with its tax, tip and service charge on the day of the refund, money on the day it moved. A
--   closed week changes only by what was learned late.
-- grain: company_id, week, currency
CREATE VIEW main.weekly_sales AS
{happened(week)};

-- view monthly_sales: Sales of one company in one month of the merchant, in one currency, by the day each thing happened: a sale
--   on its day, a return with its tax, tip and service charge on the day of the refund, money on the day it moved. A
--   closed month changes only by what was learned late.
-- grain: company_id, month, currency
CREATE VIEW main.monthly_sales AS
{happened(month)};

-- view daily_sales_by_order_date: Sales of one company on one day of the merchant, in one currency, by the day of the
--   order: whatever happened to an order later, returns and payments too, is booked on the day it was placed. For cohorts
--   and unit economics; over all days it comes to the same as daily_sales.
-- grain: company_id, day, currency
CREATE VIEW main.daily_sales_by_order_date AS
{sales_view(day; created_local_date; previous_refund IS NULL)};

-- view weekly_sales_by_order_date: Sales of one company in one week of the merchant, in one currency, by the day of the
--   order: whatever happened to an order later, returns and payments too, is booked on the day it was placed. For cohorts
--   and unit economics; over all days it comes to the same as weekly_sales.
-- grain: company_id, week, currency
CREATE VIEW main.weekly_sales_by_order_date AS
{sales_view(week; created_local_date; previous_refund IS NULL)};

-- view monthly_sales_by_order_date: Sales of one company in one month of the merchant, in one currency, by the day of the
--   order: whatever happened to an order later, returns and payments too, is booked on the day it was placed. For cohorts
--   and unit economics; over all days it comes to the same as monthly_sales.
-- grain: company_id, month, currency
CREATE VIEW main.monthly_sales_by_order_date AS
{sales_view(month; created_local_date; previous_refund IS NULL)};

-- view monthly_tax: Tax of one company in one month of the merchant, in one currency: charged in the month of the sale,
--   given back in the month of the refund.
-- grain: company_id, month, currency
-- column tax_charged: Tax of the sales of the month, service charges' tax in, major units.
-- column tax_given_back: Tax of the refunds of the month, major units, positive.
-- column tax_due: tax_charged - tax_given_back, major units; tax of monthly_sales.
-- column estimated_tax: The part of tax_given_back that is an estimate, major units, positive: of refunds of which nobody
--   knows the goods, refund times the order's tax over its total.
CREATE VIEW main.monthly_tax AS
SELECT company_id, date_trunc('month', local_date)::DATE AS "month", currency,
  coalesce(sum(tax) FILTER (event = 'sale'), 0) AS tax_charged,
  coalesce(-sum(tax) FILTER (event = 'refund'), 0) AS tax_given_back, sum(tax) AS tax_due,
  sum(estimated_tax) AS estimated_tax
FROM ledger.postings
WHERE replaced_by IS NULL AND is_order_currency
GROUP BY company_id, "month", currency;

-- part refunds_by_day(payments): Money given back by the day of the refund.
SELECT company_id, local_date AS "day", currency, count(*)::BIGINT AS refunds, sum(amount) AS refunded_amount,
  count(DISTINCT (connection_id, order_id))::BIGINT AS refunded_orders
FROM <payments>
WHERE is_refund AND status = 'Paid'
GROUP BY company_id, local_date, currency

-- view daily_refunds: Money one company gave back on one day of the merchant, in one currency, by the day of the refund.
-- grain: company_id, day, currency
-- column day: The merchant's day of the refund, not of the sale.
-- column refunds: Number of refunds given.
-- column refunded_amount: Money given back, major units, never positive; tips given back included.
-- column refunded_orders: Number of orders that got money back.
CREATE VIEW main.daily_refunds AS
{refunds_by_day(main.payments)};

-- view payments_by_day: Money that moved on one day of the merchant, by way of paying and currency. Only status Paid.
-- grain: company_id, day, currency, payment_type
-- values payment_type: OnlineCard, Card, Cash, Paypal, Prepaid, Custom, Unknown
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
--   where both are the same, net_amount is amount_collected of monthly_sales_by_order_date.
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
  count(DISTINCT order_row)::BIGINT AS orders, coalesce(sum(amount) FILTER (NOT is_refund), 0) AS charged_amount,
  coalesce(sum(amount) FILTER (is_refund), 0) AS refunded_amount, sum(amount) AS net_amount
FROM (
  SELECT company_id, order_row, created_local_date, currency AS order_currency,
    coalesce(payment.currency, currency) AS currency, payment.amount AS amount, payment.is_refund AS is_refund
  FROM (
    SELECT company_id, rowid AS order_row, created_local_date, currency, unnest(payments) AS payment
    FROM ledger.order_versions
    WHERE replaced_by IS NULL AND NOT is_deleted
  )
  WHERE payment.status = 'Paid'
)
GROUP BY ALL;

-- view payment_types: Payments of one company by way of paying, status and currency. Only status Paid is money.
-- grain: company_id, currency, payment_type, status
-- values payment_type: OnlineCard, Card, Cash, Paypal, Prepaid, Custom, Unknown
-- values status: Paid, Authorized, Pending, Failed, Cancelled, Unknown
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

-- view product_sales: Sales of one product of a company in one month of the merchant, in one currency, by the day each
--   thing happened, as in monthly_sales. Lines that name no product, such as refunds that name no goods, are under the
--   product (none). Service charges are in no product.
-- grain: company_id, connection_id, product_id, month, currency
-- references connections: connection_id
-- column product_id: Clover's id of the inventory item, or (none).
-- column product_name: One of the names it was sold under.
-- column quantity_sold: Units sold.
-- column quantity_returned: Units returned, never positive.
-- column tax: Tax, major units, less tax given back; outside net_sales.
CREATE VIEW main.product_sales AS
WITH lines AS (
  SELECT company_id, connection_id, coalesce(line.product_id, '(none)') AS product_id,
    date_trunc('month', line.local_date)::DATE AS "month", currency, line.product_name AS product_name,
    line.quantity AS quantity, line.total_amount - line.total_tax_amount AS amount, line.total_tax_amount AS tax,
    CASE WHEN line.quantity >= 0 AND len(line.discount_allocations) > 0
      THEN ledger.discount_of(line.discount_allocations) ELSE 0 END AS discount
  FROM (
    SELECT company_id, connection_id, currency, unnest(order_line_items) AS line
    FROM ledger.order_versions
    WHERE replaced_by IS NULL AND NOT is_deleted
  )
  WHERE line.kind IN ('goods', 'amount')
)
SELECT company_id, connection_id, product_id, "month", currency, max(product_name) AS product_name,
  coalesce(sum(quantity) FILTER (quantity > 0), 0) AS quantity_sold,
  coalesce(sum(quantity) FILTER (quantity < 0), 0) AS quantity_returned,
  coalesce(sum(amount + discount) FILTER (quantity >= 0), 0) AS gross_sales, sum(discount) AS discounts,
  coalesce(-sum(amount) FILTER (quantity < 0), 0) AS "returns", sum(amount) AS net_sales, sum(tax) AS tax
FROM lines
GROUP BY company_id, connection_id, product_id, "month", currency;
