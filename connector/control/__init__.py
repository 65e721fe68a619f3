"""Control data that two processes write, in SQLite: keys, companies, access log, refresh requests, webhooks."""
