-- Gift cards sold are a liability and no sale: a figure of its own. Until now nothing was known of any; an order that is
-- mapped again with what Clover's platform says of its lines becomes a new version.
ALTER TABLE ledger.order_versions ADD COLUMN bookings.element.gift_cards_sold DECIMAL(18,4) DEFAULT 0::DECIMAL(18,4);
ALTER TABLE ledger.postings ADD COLUMN gift_cards_sold DECIMAL(18,4) DEFAULT 0;
