-- What is held back has an amount, so that it can be summed: minor units of its currency; NULL where nobody can tell.
ALTER TABLE ledger.held_back ADD COLUMN amount_minor BIGINT;
ALTER TABLE ledger.held_back ADD COLUMN currency VARCHAR;

-- A deleted order of which no charge is left holds no money back; the others are told when they are looked at again.
UPDATE ledger.held_back h SET amount_minor = 0
WHERE h.reason = 'deleted' AND NOT EXISTS (
  SELECT 1 FROM ledger.source_records s
  WHERE s.connection_id = h.connection_id AND s.order_id = h.order_id AND s.kind = 'charge'
    AND s.replaced_by IS NULL AND NOT s.is_deleted);
