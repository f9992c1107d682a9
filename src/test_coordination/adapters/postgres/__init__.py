"""The stores that must never lose anything, in PostgreSQL."""
