"""Ways of looking at a system: one module a kind."""
