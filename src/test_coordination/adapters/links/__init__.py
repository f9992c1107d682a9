"""The TCP links that a topology names: they carry traffic always, and latency on request."""
