"""A trained artifact, and the choice of a model for a query."""
