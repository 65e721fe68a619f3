-- part account_amounts(booking): What a booking moves on each account, debit positive, credit negative; in the order of
--   account_name. Names and sides come after what is zero has been left out, which is most of it.
[<booking>.gross_sales - <booking>.discounts - <booking>."returns" + <booking>.service_charges + <booking>.tax
    + <booking>.tips + <booking>.overpayments - <booking>.collected,
  <booking>.collected, -<booking>.gross_sales, <booking>.discounts, <booking>."returns", -<booking>.service_charges,
  -<booking>.tax, -<booking>.tips, -<booking>.overpayments]

-- part account_name(place, payment_type): The account of a place in account_amounts.
CASE <place> WHEN 1 THEN 'Accounts receivable'
    WHEN 2 THEN CASE <payment_type> WHEN 'Cash' THEN 'Cash' WHEN 'Prepaid' THEN 'Gift cards redeemed'
      ELSE 'Processor clearing: ' || <payment_type> END
    WHEN 3 THEN 'Sales' WHEN 4 THEN 'Discounts' WHEN 5 THEN 'Returns and allowances' WHEN 6 THEN 'Service charges'
    WHEN 7 THEN 'Sales tax payable' WHEN 8 THEN 'Tips payable' ELSE 'Customer overpayments' END

-- view journal_entries: Double entry: one account of one event, by the day it happened, as known now. Every entry
--   balances. Its trial balance is monthly_sales and payments_by_day: Sales credits are gross_sales, and so on; the
--   clearing accounts are net_amount by way of paying.
-- grain: connection_id, entry_id, account, currency
-- column entry_id: The order, the event and the charge or refund it stands on. Unique within the connection.
-- column entry_date: The merchant's day of the event.
-- column event: sale, payment (money received) or refund (goods, tax, tips and money given back).
-- column account: Sales, Discounts, Returns and allowances, Service charges, Sales tax payable, Tips payable, Customer
--   overpayments, Accounts receivable (owed by customers), and where the money is: Cash, Gift cards redeemed (a
--   liability of whoever sold the card, no new money), or Processor clearing: and the way of paying.
-- column debit: Debit, major units, never negative.
-- column credit: Credit, major units, never negative. One of the two is 0.
-- column payment_id: The charge or refund; NULL for the sale of an order, which stands on the order.
-- column snapshot_id: The load that brought the version of the order that this entry is of.
CREATE VIEW main.journal_entries AS
SELECT company_id, connection_id, order_id || ':' || booking.event || coalesce(':' || booking.record_id, '') AS entry_id,
  booking.local_date AS entry_date, booking.event AS "event", {account_name(place; booking.payment_type)} AS account,
  booking.currency AS currency, greatest(amount, 0)::DECIMAL(18,4) AS debit,
  greatest(-amount, 0)::DECIMAL(18,4) AS credit, order_id, booking.record_id AS payment_id, snapshot_id
FROM (
  SELECT company_id, connection_id, order_id, snapshot_id, booking, unnest(range(1, 10)) AS place,
    unnest({account_amounts(booking)}) AS amount
  FROM (
    SELECT company_id, connection_id, order_id, snapshot_id, unnest(bookings) AS booking
    FROM ledger.order_versions
    WHERE replaced_by IS NULL AND NOT is_deleted
  )
)
WHERE amount <> 0;
