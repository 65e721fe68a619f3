"""The commands there are. A command's module is imported when it is called, so that start-up stays fast."""

COMMANDS: dict[str, tuple[str, str, str]] = {
    # name: (module, attribute, the line in `connector --help`)
    "demo": (
        "connector.cli.commands.demo",
        "demo",
        "Try everything against the bundled sandbox; no account needed.",
    ),
    "init": ("connector.cli.commands.init", "init", "Write a commented config.yaml to start from."),
    "check": (
        "connector.cli.commands.check",
        "check",
        "Check config, store, clock, disk, tokens and permissions.",
    ),
    "authorize": (
        "connector.cli.commands.authorize",
        "authorize",
        "Connect a merchant through Clover's consent page.",
    ),
    "companies": (
        "connector.cli.commands.companies",
        "companies",
        "Merchants kept as data: list, import, add, disable, enable.",
    ),
    "connections": (
        "connector.cli.commands.connections",
        "connections",
        "Every connection, whoever made it, and why one is not read.",
    ),
    "sync": ("connector.cli.commands.sync", "sync", "Read what is new or changed at Clover into the store."),
    "resync": (
        "connector.cli.commands.resync",
        "resync",
        "Read a span of time again; the cursor does not move.",
    ),
    "rebuild": (
        "connector.cli.commands.rebuild",
        "rebuild",
        "Map again from the kept raw payloads, without calling Clover.",
    ),
    "reconcile": (
        "connector.cli.commands.reconcile",
        "reconcile",
        "Compare the store with Clover, to the minor unit.",
    ),
    "status": (
        "connector.cli.commands.status",
        "status",
        "One line a merchant, worst first: last success, held back, next run.",
    ),
    "runs": (
        "connector.cli.commands.runs",
        "runs",
        "What each run did, how it ended, and what to type next.",
    ),
    "schedule": (
        "connector.cli.commands.schedule",
        "schedule",
        "Sync each connection on its cron expression, in the foreground.",
    ),
    "alerts": (
        "connector.cli.commands.alerts",
        "alerts",
        "Who is told of failures: test sends one now.",
    ),
    "backup": ("connector.cli.commands.backup", "backup", "The store in one file, read back and compared."),
    "restore": (
        "connector.cli.commands.restore",
        "restore",
        "A store from a backup; hashes, counts and sums are compared.",
    ),
    "migrate-store": (
        "connector.cli.commands.migrate_store",
        "migrate_store",
        "Move a store from one disk into a fleet, and back.",
    ),
    "lake": (
        "connector.cli.commands.lake",
        "lake",
        "Fill a DuckLake with all companies of a fleet, for SQL.",
    ),
    "forget": (
        "connector.cli.commands.forget",
        "forget",
        "Remove a company's data everywhere, and prove it.",
    ),
    "serve": ("connector.cli.commands.serve", "serve", "Serve the read API and the portal page."),
    "keys": ("connector.cli.commands.keys", "keys", "API keys: create, list, revoke, audit."),
    "webhooks": (
        "connector.cli.commands.webhooks",
        "webhooks",
        "Who is told of events: add, list, test, remove.",
    ),
    "query": ("connector.cli.commands.query", "query", "Read-only SQL on the published file."),
    "export": ("connector.cli.commands.export", "export", "Views as Parquet or CSV files."),
    "evidence": (
        "connector.cli.commands.evidence",
        "evidence",
        "One signed file of a connection: make, verify, key.",
    ),
    "report": (
        "connector.cli.commands.report",
        "report",
        "One HTML page a company, with charts, to mail or print.",
    ),
    "dictionary": (
        "connector.cli.commands.dictionary",
        "dictionary",
        "Every view and column with its meaning: one here, all as Markdown or dbt.",
    ),
    "sandbox": ("connector.cli.commands.sandbox", "sandbox", "Run the stand-in Clover by itself."),
}
