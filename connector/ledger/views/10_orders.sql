-- part order_columns(): The columns of an order as analysts see it.
company_id, connection_id, order_id, order_number, country, currency, created_date, closed_date,
  created_local_date, created_local_time, total_amount, total_refund, total_tax_amount, total_discount, total_gratuity,
  (total_amount - total_refund)::DECIMAL(18,4) AS sold_amount, sold_tax_amount, sold_discount,
  service_charges_amount, paid_amount, location_id, location_name, customer_id, customer_name,
  modified_date, source_modified_date, observed, snapshot_id

-- view orders: One current order, with every refund known so far taken into account.
-- grain: connection_id, order_id
-- references connections: connection_id
-- references snapshots: snapshot_id
-- references customers: connection_id, customer_id
-- references locations: connection_id, location_id
CREATE VIEW main.orders AS
SELECT {order_columns()}
FROM ledger.order_versions
WHERE replaced_by IS NULL AND NOT is_deleted;

-- view order_versions: One version of one order as it was known from a snapshot on. Nothing is ever overwritten.
-- grain: connection_id, order_id, source_modified_date, content_hash
-- references connections: connection_id
-- references snapshots: snapshot_id
CREATE VIEW main.order_versions AS
SELECT {order_columns()},
  content_hash, replaced_by, is_deleted
FROM ledger.order_versions;

-- part line_columns(discount): The columns of a line as analysts see it.
company_id, connection_id, order_id, line.id AS line_id, currency, created_date, created_local_date,
  line.quantity AS quantity, line.unit_price AS unit_price, line.tax_percentage AS tax_percentage,
  line.total_tax_amount AS total_tax_amount, line.total_amount AS total_amount,
  <discount> AS discount_amount,
  line.product_id AS product_id, line.product_name AS product_name, line.variant_id AS variant_id,
  line.variant_name AS variant_name, line.quantity < 0 AS is_refund, line.refund_id AS refund_id,
  line.refund_local_date AS refund_local_date, line.kind AS kind, line.charge_id AS charge_id,
  line.local_date AS local_date, snapshot_id

-- view order_line_items: One line of a current order. A line with quantity < 0 is a refund line.
-- grain: connection_id, order_id, line_id
-- references orders: connection_id, order_id
-- references products: connection_id, product_id
-- values kind: goods, gift_card, amount, service_charge, overpayment
-- column quantity: Units sold; negative on a refund line.
-- column unit_price: Price of one unit without tax and discounts, major units, never negative.
-- column tax_percentage: Tax of the line in percent, 0 to 100.
-- column total_tax_amount: Tax of the line, major units; negative on a refund line.
-- column total_amount: Quantity x unit_price - discounts + tax, major units; negative on a refund line.
-- column discount_amount: Sum of the line's discounts, major units; negative on a refund line.
-- column refund_id: Clover's id of the refund behind a refund line, where the line is of one refund.
-- column refund_local_date: The merchant's day of that refund.
-- column kind: What the line is of: goods, or a gift_card (what Clover says is no revenue); or, of a refund line, an amount
--   of which nobody knows the goods, a service_charge or an overpayment.
-- column charge_id: Clover's id of the charge that sold these goods again after they came back; NULL for the first sale.
-- column local_date: The merchant's day of the line: of the sale, or of the refund.
CREATE VIEW main.order_line_items AS
SELECT {line_columns(ledger.discount_of(line.discount_allocations))}
FROM (
  SELECT company_id, connection_id, order_id, currency, created_date, created_local_date, snapshot_id,
    unnest(order_line_items) AS line
  FROM ledger.order_versions
  WHERE replaced_by IS NULL AND NOT is_deleted
);

-- view discount_allocations: One discount on one line of a current order.
-- grain: connection_id, order_id, line_id, allocation_number
-- references orders: connection_id, order_id
-- references order_line_items: connection_id, order_id, line_id
-- column allocation_number: Position of the discount on its line, from 1.
-- column name: Name of the discount at Clover.
-- column total_amount: Share of the discount on this line, major units, positive lowers the price; negative on refund
--   lines, which give the share back.
CREATE VIEW main.discount_allocations AS
SELECT company_id, connection_id, order_id, line_id, allocation_number, currency, created_date, created_local_date,
  share."name" AS "name", share.total_amount AS total_amount, is_refund, snapshot_id
FROM (
  SELECT company_id, connection_id, order_id, currency, created_date, created_local_date, snapshot_id,
    line.id AS line_id, line.quantity < 0 AS is_refund, unnest(line.discount_allocations) AS share,
    generate_subscripts(line.discount_allocations, 1)::BIGINT AS allocation_number
  FROM (
    SELECT company_id, connection_id, order_id, currency, created_date, created_local_date, snapshot_id,
      unnest(order_line_items) AS line
    FROM ledger.order_versions
    WHERE replaced_by IS NULL AND NOT is_deleted
  )
);

-- part payment_columns(): The columns of a payment as analysts see it.
company_id, connection_id, payment.id AS payment_id, order_id, payment.amount AS amount,
  coalesce(payment.currency, currency) AS currency, payment."type" AS "type", payment.status AS status,
  payment.provider AS provider, payment.is_refund AS is_refund, payment.created_date AS created_date,
  payment.local_date AS local_date, (payment.created_date AT TIME ZONE 'UTC') AT TIME ZONE zone.timezone AS local_time,
  coalesce(payment.modified_date, modified_date) AS modified_date,
  payment.source_modified_date AS source_modified_date, snapshot_id

-- part zones(connections): The merchants' time zones.
(SELECT connection_id, coalesce(timezone, 'UTC') AS timezone FROM <connections>)

-- view payments: One charge, or one refund as a negative payment, of a current order. Only status Paid is money.
-- grain: connection_id, order_id, payment_id
-- references orders: connection_id, order_id
-- values status: Paid, Authorized, Pending, Failed, Cancelled, Unknown
-- values type: OnlineCard, Card, Cash, Paypal, Prepaid, Custom, Unknown
-- column payment_id: Clover's id of the charge or refund.
-- column amount: Amount, major units, tip in; negative for a refund.
-- column type: How it was paid: OnlineCard, Card, Cash, Paypal, Prepaid, Custom, Unknown.
-- column status: Paid, Authorized, Pending, Failed, Cancelled, Unknown.
-- column provider: Who processed it.
-- column created_date: When Clover recorded the charge or refund, UTC.
-- column local_date: The merchant's day of the charge or refund.
-- column local_time: The merchant's wall clock at the charge or refund: created_date, which is UTC, in the merchant's time
--   zone. A bank statement is compared by it.
-- column modified_date: When this state of the payment was loaded here, UTC.
-- column source_modified_date: When the payment last changed at Clover, UTC.
CREATE VIEW main.payments AS
SELECT {payment_columns()}
FROM (
  SELECT company_id, connection_id, order_id, currency, modified_date, snapshot_id, unnest(payments) AS payment
  FROM ledger.order_versions
  WHERE replaced_by IS NULL AND NOT is_deleted
)
LEFT JOIN {zones(ledger.connections)} zone USING (connection_id);

-- view transactions: One movement of money: a captured charge, or a refund that counted.
-- grain: connection_id, order_id, transaction_id
-- references payments: connection_id, order_id, transaction_id
-- values type: Payment, Refund
-- values sub_type: charge, refund
-- values source_type: Order
-- column transaction_id: Id of the payment it is; joins payments.payment_id.
-- column total_amount: Amount, major units, tip in; negative for a refund.
-- column type: Payment or Refund.
-- column sub_type: Clover's own word: charge or refund.
-- column order_id: The order it belongs to (Codat transactionSourceRef).
-- column source_type: What order_id names: always Order.
-- column local_date: The merchant's day of the charge or refund.
-- column local_time: The merchant's wall clock at the charge or refund: created_date, which is UTC, in the merchant's time
--   zone. A bank statement is compared by it.
CREATE VIEW main.transactions AS
SELECT company_id, connection_id, payment_id AS transaction_id, amount AS total_amount, currency,
  CASE WHEN is_refund THEN 'Refund' ELSE 'Payment' END AS "type",
  CASE WHEN is_refund THEN 'refund' ELSE 'charge' END AS sub_type,
  order_id, 'Order' AS source_type, created_date, local_date, local_time, modified_date, source_modified_date, snapshot_id
FROM main.payments
WHERE status = 'Paid';

-- view service_charges: One service charge of a current order: shipping, a surcharge, or money beyond what was owed.
-- grain: connection_id, order_id, charge_number
-- references orders: connection_id, order_id
-- values type: Generic, Shipping, Overpayment, Unknown
-- column charge_number: Position of the charge on its order, from 1.
-- column description: What it was for.
-- column total_amount: The whole charge, major units, tax in; not per unit.
-- column tax_percentage: Tax in percent, 0 to 100.
-- column tax_amount: The part of total_amount that is tax, major units.
-- column quantity: Units; total_amount is already for all of them.
-- column type: Generic, Shipping, Overpayment or Unknown.
-- column charge_id: Clover's id of the charge that made it again with goods that were sold again; NULL for the first sale.
-- column local_date: The merchant's day of the service charge.
CREATE VIEW main.service_charges AS
SELECT company_id, connection_id, order_id, charge_number, currency, created_date, created_local_date,
  charge.description AS description, charge.total_amount AS total_amount, charge.tax_percentage AS tax_percentage,
  charge.tax_amount AS tax_amount, charge.quantity AS quantity, charge."type" AS "type",
  charge.charge_id AS charge_id, charge.local_date AS local_date, snapshot_id
FROM (
  SELECT company_id, connection_id, order_id, currency, created_date, created_local_date, snapshot_id,
    unnest(service_charges) AS charge, generate_subscripts(service_charges, 1)::BIGINT AS charge_number
  FROM ledger.order_versions
  WHERE replaced_by IS NULL AND NOT is_deleted
);
