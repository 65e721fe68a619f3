-- part account_lines(name, amount, columns, postings): The lines of one account. amount: debit positive, credit negative.
SELECT <columns>, <name> AS account, <amount> AS amount FROM <postings> AND <amount> <> 0

-- part journal(columns, sign, postings): The lines of postings. Each account is a plain scan: unfolding what a posting
--   moves on nine accounts, most of them zero, takes three times as long.
{account_lines('Accounts receivable'; <sign>(gross_sales - discounts - "returns" + service_charges + tax + tips + overpayments + gift_cards_sold - collected); <columns>; <postings>)}
UNION ALL
{account_lines(CASE payment_type WHEN 'Cash' THEN 'Cash' WHEN 'Prepaid' THEN 'Gift cards redeemed' ELSE 'Processor clearing: ' || payment_type END; <sign>collected; <columns>; <postings>)}
UNION ALL
{account_lines('Sales'; -(<sign>gross_sales); <columns>; <postings>)}
UNION ALL
{account_lines('Discounts'; <sign>discounts; <columns>; <postings>)}
UNION ALL
{account_lines('Returns and allowances'; <sign>"returns"; <columns>; <postings>)}
UNION ALL
{account_lines('Service charges'; -(<sign>service_charges); <columns>; <postings>)}
UNION ALL
{account_lines('Sales tax payable'; -(<sign>tax); <columns>; <postings>)}
UNION ALL
{account_lines('Tips payable'; -(<sign>tips); <columns>; <postings>)}
UNION ALL
{account_lines('Customer overpayments'; -(<sign>overpayments); <columns>; <postings>)}
UNION ALL
{account_lines('Gift cards sold'; -(<sign>gift_cards_sold); <columns>; <postings>)}

-- part entries(postings): Double entry of the postings of one state, by the day each thing happened.
SELECT company_id, connection_id, order_id || ':' || event || coalesce(':' || record_id, '') AS entry_id,
  local_date AS entry_date, event, account, currency, greatest(amount, 0)::DECIMAL(18,4) AS debit,
  greatest(-amount, 0)::DECIMAL(18,4) AS credit, order_id, record_id AS payment_id, snapshot_id
FROM (
{journal(company_id, connection_id, order_id, event, record_id, local_date, currency, snapshot_id; +; <postings>)}
)

-- view journal_entries: Double entry: one account of one event, by the day it happened, as known now. Every entry
--   balances. Its trial balance is monthly_sales and payments_by_day: Sales credits are gross_sales, and so on; the
--   clearing accounts are net_amount by way of paying.
-- grain: connection_id, entry_id, account, currency
-- references orders: connection_id, order_id
-- references snapshots: snapshot_id
-- values event: sale, payment, refund
-- column entry_id: The order, the event and the charge or refund it stands on. Unique within the connection.
-- column entry_date: The merchant's day of the event.
-- column event: sale, payment (money received) or refund (goods, tax, tips and money given back).
-- column account: Sales, Discounts, Returns and allowances, Service charges, Sales tax payable, Tips payable, Customer
--   overpayments, Gift cards sold (a liability), Accounts receivable (owed by customers), and where the money is: Cash,
--   Gift cards redeemed (what such a liability paid, no new money), or Processor clearing: and the way of paying.
-- column debit: Debit, major units, never negative.
-- column credit: Credit, major units, never negative. One of the two is 0.
-- column payment_id: The charge or refund; NULL for the sale of an order, which stands on the order.
-- column snapshot_id: The load from which on the event was known as it is now.
CREATE VIEW main.journal_entries AS
{entries(ledger.postings WHERE replaced_by IS NULL)};

-- view journal_as_booked: Double entry in books that are never changed: lines are added, and none is altered or removed.
--   What was learned of a day while it was open is booked on that day. What was learned of a closed day, and every
--   correction of what was booked before, is booked on the day it was learned: a reversal of the entry as it stood, and
--   the entry as it is now. A day is closed once a sync that began after it came to its end. Over all days every account
--   comes to the same as in journal_entries, which shows the same restated.
-- grain: connection_id, entry_id, account, currency
-- column entry_id: The event of the order, the load, and whether it is a reversal. Unique within the connection.
-- column entry_date: The merchant's day on which it was booked; that of the event, or a later one.
-- column event_date: The merchant's day on which it happened; the one column that follows a corrected time zone.
-- column posting: original, or of a correction: reversal (of an entry booked before) or correction (what is in its place).
-- column event: sale, payment (money received) or refund (goods, tax, tips and money given back).
-- column account: As in journal_entries.
-- column debit: Debit, major units, never negative.
-- column credit: Credit, major units, never negative. One of the two is 0.
-- column payment_id: The charge or refund; NULL for the sale of an order, which stands on the order.
-- column snapshot_id: The load that booked it.
CREATE VIEW main.journal_as_booked AS
SELECT company_id, connection_id,
  order_id || ':' || event || coalesce(':' || record_id, '') || ':' || snapshot_id
    || CASE WHEN posting = 'reversal' THEN ':reversal' ELSE '' END AS entry_id,
  entry_date, local_date AS event_date, posting, event, account, currency,
  greatest(amount, 0)::DECIMAL(18,4) AS debit, greatest(-amount, 0)::DECIMAL(18,4) AS credit, order_id,
  record_id AS payment_id, snapshot_id
FROM (
{journal(company_id, connection_id, order_id, event, record_id, local_date, currency, snapshot_id, booked_date AS entry_date, CASE WHEN is_correction THEN 'correction' ELSE 'original' END AS posting; +; ledger.postings WHERE true)}
UNION ALL
{journal(company_id, connection_id, order_id, event, record_id, local_date, currency, replaced_by AS snapshot_id, reversed_date AS entry_date, 'reversal' AS posting; -; ledger.postings WHERE replaced_by IS NOT NULL)}
);
