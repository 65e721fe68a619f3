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
