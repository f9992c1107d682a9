"""A small trading system, real enough to break: the target that ships with the coordinator."""
