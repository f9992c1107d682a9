"""PostgreSQL and Valkey, started, watched and stopped by ourselves."""
