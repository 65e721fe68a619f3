-- What a line is of (goods, amount, service_charge, overpayment), which charge sold goods again that had come back, and
-- the merchant's day on which each line and service charge happened.
ALTER TABLE ledger.order_versions ALTER COLUMN order_line_items TYPE STRUCT(
    id VARCHAR, quantity DECIMAL(18,4), unit_price DECIMAL(18,4), tax_percentage DECIMAL(9,4),
    total_tax_amount DECIMAL(18,4), total_amount DECIMAL(18,4), product_id VARCHAR, product_name VARCHAR,
    variant_id VARCHAR, variant_name VARCHAR, refund_id VARCHAR, refund_local_date DATE,
    discount_allocations STRUCT("name" VARCHAR, total_amount DECIMAL(18,4))[],
    kind VARCHAR, charge_id VARCHAR, local_date DATE)[]
USING [struct_pack(
    id := l.id, quantity := l.quantity, unit_price := l.unit_price, tax_percentage := l.tax_percentage,
    total_tax_amount := l.total_tax_amount, total_amount := l.total_amount, product_id := l.product_id,
    product_name := l.product_name, variant_id := l.variant_id, variant_name := l.variant_name,
    refund_id := l.refund_id, refund_local_date := l.refund_local_date,
    discount_allocations := l.discount_allocations,
    kind := CASE WHEN l.quantity >= 0 THEN 'goods' WHEN starts_with(l.id, 'Refund of Overpayment') THEN 'overpayment'
      WHEN starts_with(l.id, 'Refund of ') THEN 'service_charge'
      WHEN starts_with(l.id, 'refund_' || l.refund_id) AND l.product_id IS NULL THEN 'amount' ELSE 'goods' END,
    charge_id := NULL::VARCHAR, local_date := l.refund_local_date) FOR l IN order_line_items];

ALTER TABLE ledger.order_versions ALTER COLUMN service_charges TYPE STRUCT(
    description VARCHAR, total_amount DECIMAL(18,4), tax_percentage DECIMAL(9,4), tax_amount DECIMAL(18,4),
    quantity BIGINT, "type" VARCHAR, charge_id VARCHAR, local_date DATE)[]
USING [struct_pack(
    description := s.description, total_amount := s.total_amount, tax_percentage := s.tax_percentage,
    tax_amount := s.tax_amount, quantity := s.quantity, "type" := s."type", charge_id := NULL::VARCHAR,
    local_date := NULL::DATE) FOR s IN service_charges];

-- Orders of earlier versions whose goods were sold again: each sale after the first is that of the charges that came
-- after a refund, one after the other.
CREATE TEMP TABLE sold_again AS
SELECT r, [p FOR p IN list_sort(charges) IF len(list_filter(backs, lambda b: b <= p.created_date)) > 0] AS charges, ids
FROM (
  SELECT rowid AS r,
    [struct_pack(created_date := p.created_date, id := p.id, local_date := p.local_date) FOR p IN payments IF p.status = 'Paid' AND NOT p.is_refund]
      AS charges,
    [p.created_date FOR p IN payments IF p.status = 'Paid' AND p.is_refund] AS backs,
    list_transform(order_line_items, lambda o: o.id) AS ids
  FROM ledger.order_versions
  WHERE len(list_filter(order_line_items, lambda l: l.quantity > 0 AND ends_with(l.id, '_2')
    AND list_contains(list_transform(order_line_items, lambda o: o.id || '_2'), l.id))) > 0
    AND len(list_filter(payments, lambda p: p.is_refund AND p.status = 'Paid')) > 0
);
UPDATE ledger.order_versions v SET order_line_items = [struct_pack(
    id := l.id, quantity := l.quantity, unit_price := l.unit_price, tax_percentage := l.tax_percentage,
    total_tax_amount := l.total_tax_amount, total_amount := l.total_amount, product_id := l.product_id,
    product_name := l.product_name, variant_id := l.variant_id, variant_name := l.variant_name,
    refund_id := l.refund_id, refund_local_date := l.refund_local_date,
    discount_allocations := l.discount_allocations, kind := l.kind,
    charge_id := CASE WHEN l.quantity > 0 AND list_contains(s.ids, regexp_replace(l.id, '_[2-9]$', ''))
      THEN s.charges[TRY_CAST(regexp_extract(l.id, '_([2-9])$', 1) AS INTEGER) - 1].id END,
    local_date := coalesce(l.local_date, CASE WHEN l.quantity > 0
      AND list_contains(s.ids, regexp_replace(l.id, '_[2-9]$', ''))
      THEN s.charges[TRY_CAST(regexp_extract(l.id, '_([2-9])$', 1) AS INTEGER) - 1].local_date END)) FOR l IN v.order_line_items]
FROM sold_again s WHERE s.r = v.rowid;
DROP TABLE sold_again;

-- What happened to an order, one entry an event, computed when a row is loaded (connector/ledger/load/bookings.py).
-- Figures are signed as in the sales views: what a refund gives back of tax, service charges and tips is negative.
ALTER TABLE ledger.order_versions ADD COLUMN bookings STRUCT(
    event VARCHAR, record_id VARCHAR, local_date DATE, currency VARCHAR, payment_type VARCHAR,
    gross_sales DECIMAL(18,4), discounts DECIMAL(18,4), "returns" DECIMAL(18,4), service_charges DECIMAL(18,4),
    tax DECIMAL(18,4), estimated_tax DECIMAL(18,4), tips DECIMAL(18,4), overpayments DECIMAL(18,4),
    collected DECIMAL(18,4), previous_refund DATE)[];
