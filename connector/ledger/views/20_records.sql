-- view customers: One customer who ordered, as last known.
-- grain: connection_id, customer_id
-- references connections: connection_id
-- references snapshots: snapshot_id
-- column email_address: E-mail address, where Clover gave it.
-- column phone: Phone number, where Clover gave it.
-- column default_currency: Currency the customer pays in, where known.
-- column addresses: Addresses as Codat's JSON, NULL when there is none.
-- column created_date: When Clover first recorded the customer, or first order, UTC.
CREATE VIEW main.customers AS
SELECT company_id, connection_id, record_id AS customer_id, "name" AS customer_name,
  doc ->> '$.emailAddress' AS email_address, doc ->> '$.phone' AS phone,
  doc ->> '$.defaultCurrency' AS default_currency, doc ->> '$.addresses' AS addresses,
  created_date, modified_date, source_modified_date, snapshot_id
FROM ledger.record_versions
WHERE data_type = 'customers' AND replaced_by IS NULL AND NOT is_deleted;

-- view products: One product that was sold, as last known.
-- grain: connection_id, product_id
-- references connections: connection_id
-- references snapshots: snapshot_id
-- column description: Description, where Clover gave it.
-- column categorization: Category, free text.
-- column is_gift_card: Whether it is a gift card.
-- column variants: Variants as Codat's JSON.
CREATE VIEW main.products AS
SELECT company_id, connection_id, record_id AS product_id, "name", doc ->> '$.description' AS description,
  doc ->> '$.categorization' AS categorization, (doc ->> '$.isGiftCard')::BOOLEAN AS is_gift_card,
  doc ->> '$.variants' AS variants, created_date, modified_date, source_modified_date, snapshot_id
FROM ledger.record_versions
WHERE data_type = 'products' AND replaced_by IS NULL AND NOT is_deleted;

-- view locations: One place of sale: the merchant.
-- grain: connection_id, location_id
-- references connections: connection_id
-- references snapshots: snapshot_id
-- column line1: First line of the address.
-- column line2: Second line of the address.
-- column city: City of the address.
-- column region: State or region of the address.
-- column country: Country of the address, as the source writes it.
-- column postal_code: Postal code of the address.
CREATE VIEW main.locations AS
SELECT company_id, connection_id, record_id AS location_id, "name", doc ->> '$.address.line1' AS line1,
  doc ->> '$.address.line2' AS line2, doc ->> '$.address.city' AS city, doc ->> '$.address.region' AS region,
  doc ->> '$.address.country' AS country, doc ->> '$.address.postalCode' AS postal_code,
  modified_date, source_modified_date, snapshot_id
FROM ledger.record_versions
WHERE data_type = 'locations' AND replaced_by IS NULL AND NOT is_deleted;

-- view payment_methods: One way of paying that was used.
-- grain: connection_id, payment_method_id
-- references connections: connection_id
-- references snapshots: snapshot_id
-- values status: Active, Archived, Unknown
-- column payment_method_id: Id of the way of paying.
-- column status: Active, Archived or Unknown.
CREATE VIEW main.payment_methods AS
SELECT company_id, connection_id, record_id AS payment_method_id, "name", doc ->> '$.status' AS status,
  modified_date, source_modified_date, snapshot_id
FROM ledger.record_versions
WHERE data_type = 'paymentMethods' AND replaced_by IS NULL AND NOT is_deleted;

-- view tax_components: One tax that was charged.
-- grain: connection_id, tax_component_id
-- column tax_component_id: Id of the tax.
-- column rate: Rate as a fraction: 0.1 is ten percent.
-- column is_compound: Whether it is charged on top of other taxes.
CREATE VIEW main.tax_components AS
SELECT company_id, connection_id, record_id AS tax_component_id, "name", (doc ->> '$.rate')::DECIMAL(18,9) AS rate,
  (doc ->> '$.isCompound')::BOOLEAN AS is_compound, modified_date, source_modified_date, snapshot_id
FROM ledger.record_versions
WHERE data_type = 'taxComponents' AND replaced_by IS NULL AND NOT is_deleted;

-- view company_info: The business behind a connection.
-- grain: connection_id
-- column company_name: Name of the business.
-- column commerce_platform_ref: The merchant's id at Clover.
-- column base_currency: Currency of the business, ISO 4217.
CREATE VIEW main.company_info AS
SELECT company_id, connection_id, "name" AS company_name, doc ->> '$.commercePlatformRef' AS commerce_platform_ref,
  doc ->> '$.baseCurrency' AS base_currency, created_date, modified_date, source_modified_date, snapshot_id
FROM ledger.record_versions
WHERE data_type = 'companyInfo' AND replaced_by IS NULL AND NOT is_deleted;
