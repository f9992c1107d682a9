"""Working twins of the stores: nothing outlives them."""
