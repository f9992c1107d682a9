"""Each port's meeting with the real world; no adapter knows another."""
