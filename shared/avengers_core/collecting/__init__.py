"""From questions to graded, paid answers, and from a ledger's calls to records."""
