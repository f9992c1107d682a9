"""The rules, as values and pure functions: no clock, no chance, no I/O, no third party."""
