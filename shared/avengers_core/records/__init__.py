"""What models scored on queries, and what that cost: reading, checking, columns."""
