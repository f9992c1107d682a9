"""Documents as people write them: YAML, read with the place of everything in it."""
