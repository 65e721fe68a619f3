-- Which charges an order names, so that a charge that names no order finds the order that names it.
ALTER TABLE ledger.source_records ADD COLUMN names VARCHAR[];
UPDATE ledger.source_records SET names = list_sort(list_distinct(list_filter(
    list_transform(
      list_concat(
        json_extract(payload, '$.past_charges[*]'), json_extract(payload, '$.past_charges.data[*]'),
        json_extract(payload, '$.past_charges.elements[*]'), [json_extract(payload, '$.charge')]),
      lambda past: CASE WHEN json_type(past) = 'OBJECT' THEN json_extract_string(past, '$.id')
                        ELSE json_extract_string(past, '$') END),
    lambda id: id IS NOT NULL AND id <> '')))
WHERE kind = 'order';

-- Which record an issue is about where no order is: a refund that leads to none.
ALTER TABLE ledger.data_issues ADD COLUMN record_kind VARCHAR;
ALTER TABLE ledger.data_issues ADD COLUMN record_id VARCHAR;

-- What is held back has an amount, so that it can be summed: minor units of its currency; NULL where nobody can tell.
ALTER TABLE ledger.held_back ADD COLUMN amount_minor BIGINT;
ALTER TABLE ledger.held_back ADD COLUMN currency VARCHAR;

-- A deleted order of which no charge is left holds no money back; the others are told when they are looked at again.
UPDATE ledger.held_back h SET amount_minor = 0
WHERE h.reason = 'deleted' AND NOT EXISTS (
  SELECT 1 FROM ledger.source_records s
  WHERE s.connection_id = h.connection_id AND s.order_id = h.order_id AND s.kind = 'charge'
    AND s.replaced_by IS NULL AND NOT s.is_deleted);

-- Orders loaded by earlier versions: every refund line names its refund and the merchant's day of it, as far as the
-- order tells (its only refund, or the one whose id ends the id of the line), and paid_amount holds the order's
-- currency only. Orders that change are written whole by the sync itself.
UPDATE ledger.order_versions SET
  paid_amount = coalesce(list_sum([p.amount FOR p IN payments IF p.status = 'Paid'
    AND coalesce(p.currency, currency, 'XXX') = coalesce(currency, 'XXX')]), 0)::DECIMAL(18,4)
WHERE len(list_filter(payments, lambda p: p.status = 'Paid'
  AND coalesce(p.currency, currency, 'XXX') <> coalesce(currency, 'XXX'))) > 0;

UPDATE ledger.order_versions SET order_line_items = [struct_pack(
    id := l.id, quantity := l.quantity, unit_price := l.unit_price, tax_percentage := l.tax_percentage,
    total_tax_amount := l.total_tax_amount, total_amount := l.total_amount, product_id := l.product_id,
    product_name := l.product_name, variant_id := l.variant_id, variant_name := l.variant_name,
    refund_id := CASE WHEN l.quantity < 0 THEN coalesce(l.refund_id, list_filter(payments, lambda p: p.is_refund AND p.status = 'Paid'
      AND (l.refund_id = p.id OR ends_with(l.id, '_' || p.id)
        OR len(list_filter(payments, lambda q: q.is_refund AND q.status = 'Paid')) = 1))[1].id) END,
    refund_local_date := CASE WHEN l.quantity < 0 THEN coalesce(l.refund_local_date, list_filter(payments, lambda p: p.is_refund AND p.status = 'Paid'
      AND (l.refund_id = p.id OR ends_with(l.id, '_' || p.id)
        OR len(list_filter(payments, lambda q: q.is_refund AND q.status = 'Paid')) = 1))[1].local_date) END,
    discount_allocations := l.discount_allocations) FOR l IN order_line_items]
WHERE len(list_filter(order_line_items, lambda l: l.quantity < 0 AND l.refund_id IS NULL)) > 0;
