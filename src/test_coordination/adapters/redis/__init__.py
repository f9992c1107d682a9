"""What is shown while it happens, in Redis: it may be emptied, evicted or away at any time."""
