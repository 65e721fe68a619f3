"""What to type next after a run failed, by the kind of its error."""


def next_command(error_kind: str | None, *, company_id: str) -> str:
    """A command that finds the cause or cures it."""
    selection = f" --company {company_id}"
    return {
        "config": "connector check",
        "authorisation": "connector check",
        "clover": f"connector sync{selection}",
        "store": "connector check",
        "busy": "connector status",
        "stopped": f"connector sync{selection}",
        "bug": f"connector sync{selection} --verbose",
    }.get(error_kind or "", f"connector sync{selection}")
