"""One load: what a run brings becomes versions, source records and findings, in one transaction."""
