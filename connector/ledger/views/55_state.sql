-- view connection_state: How current one connection is: when a sync of it last succeeded, how its newest run ended, how
--   far its lists were read, and how much of it there is. Everything that asks for one of these reads them here.
-- grain: connection_id
-- references connections: connection_id
-- values last_status: running, succeeded, partly_done, failed
-- column status: Linked, Deauthorized, Unlinked or PendingAuth; NULL while nothing was ever loaded.
-- column currency: Currency the merchant sells in, ISO 4217, where it is configured.
-- column last_success: When a sync last came to its end, with or without records held back, UTC; NULL when none did.
--   A reconciliation or a rebuild reads nothing new, and a resync reads a part.
-- column last_success_began: When that sync began, UTC: everything older had been read.
-- column last_success_run: Id of that sync.
-- column last_run: Id of the newest run that was no reconciliation.
-- column last_kind: Its kind: sync, resync or rebuild.
-- column last_status: Its status: running, succeeded, partly_done or failed.
-- column last_started: When it began, UTC.
-- column last_finished: When it ended, UTC; NULL while it is running or when it was killed.
-- column last_error_kind: What kind of error ended it; NULL when none did.
-- column last_error: That error in words.
-- column newest_snapshot: The newest load that changed something; NULL when none did.
-- column newest_sale: Date of the newest current order, UTC.
-- column orders: Current orders.
-- column held_back: Records kept raw and not published.
-- column open_issues: Issues that are not healed, all severities.
-- column cursor: All three lists were read up to here, UTC; NULL until each was read once.
-- column dated_until: The latest date that a run, a cursor, a deep scan or a poll carries, UTC. Where it lies in the
--   future a run was made by a clock that was wrong.
CREATE VIEW main.connection_state AS
WITH runs AS (
  -- Every date is believed here. A reader with a clock of its own puts it in place of infinity.
  SELECT * FROM ledger.sync_runs WHERE started_at <= TIMESTAMP 'infinity'
),
successes AS (
  SELECT connection_id, max(finished_at) AS last_success,
    arg_max({'began': started_at, 'run_id': run_id}, {'at': finished_at, 'run_id': run_id}) AS newest
  FROM runs
  WHERE kind = 'sync' AND status IN ('succeeded', 'partly_done') AND finished_at <= TIMESTAMP 'infinity'
  GROUP BY connection_id
),
ends AS (
  SELECT connection_id, any_value(company_id) AS company_id,
    arg_max({'run_id': run_id, 'kind': kind, 'status': status, 'started': started_at, 'finished': finished_at,
      'error_kind': error_kind, 'error': error}, {'at': started_at, 'run_id': run_id})
      FILTER (kind <> 'reconcile') AS newest
  FROM runs
  GROUP BY connection_id
),
loaded AS (SELECT connection_id, max(snapshot_id) AS newest FROM ledger.snapshots GROUP BY connection_id),
sold AS (
  SELECT connection_id, count(*) AS orders, max(created_date) AS newest
  FROM ledger.order_versions
  WHERE replaced_by IS NULL AND NOT is_deleted
  GROUP BY connection_id
),
held AS (
  SELECT connection_id, count(*) AS held_back FROM ledger.held_back WHERE resolved_run IS NULL GROUP BY connection_id
),
issues AS (
  SELECT connection_id, count(*) AS open_issues
  FROM ledger.data_issues
  WHERE resolved_snapshot IS NULL
  GROUP BY connection_id
),
cursors AS (
  SELECT connection_id, CASE WHEN count(*) >= 3 THEN min("cursor") END AS "cursor"
  FROM ledger.sync_state
  WHERE stream IN ('charges', 'orders', 'refunds')
  GROUP BY connection_id
),
dates AS (
  SELECT connection_id, max("at") AS newest
  FROM (
    SELECT connection_id, started_at AS "at" FROM ledger.sync_runs
    UNION ALL SELECT connection_id, "cursor" FROM ledger.sync_state
    UNION ALL SELECT connection_id, last_completed FROM ledger.deep_scans
    UNION ALL SELECT connection_id, last_polled FROM ledger.open_orders
  )
  GROUP BY connection_id
),
connections AS (
  SELECT connection_id, any_value(company_id) AS company_id, any_value(status) AS status,
    any_value(currency) AS currency
  FROM (
    SELECT connection_id, company_id, status, currency FROM ledger.connections
    UNION ALL SELECT connection_id, company_id, NULL, NULL FROM ledger.sync_runs
  )
  GROUP BY connection_id
)
SELECT c.company_id, c.connection_id, c.status, c.currency, g.last_success, g.newest.began AS last_success_began,
  g.newest.run_id AS last_success_run, e.newest.run_id AS last_run, e.newest.kind AS last_kind,
  e.newest.status AS last_status, e.newest.started AS last_started, e.newest.finished AS last_finished,
  e.newest.error_kind AS last_error_kind, e.newest.error AS last_error, l.newest AS newest_snapshot,
  o.newest AS newest_sale, coalesce(o.orders, 0)::BIGINT AS orders, coalesce(h.held_back, 0)::BIGINT AS held_back,
  coalesce(i.open_issues, 0)::BIGINT AS open_issues, s."cursor", d.newest AS dated_until
FROM connections c
LEFT JOIN successes g ON g.connection_id = c.connection_id
LEFT JOIN ends e ON e.connection_id = c.connection_id
LEFT JOIN loaded l ON l.connection_id = c.connection_id
LEFT JOIN sold o ON o.connection_id = c.connection_id
LEFT JOIN held h ON h.connection_id = c.connection_id
LEFT JOIN issues i ON i.connection_id = c.connection_id
LEFT JOIN cursors s ON s.connection_id = c.connection_id
LEFT JOIN dates d ON d.connection_id = c.connection_id;
