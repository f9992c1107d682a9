"""Working twins of the stores, and a clock that tests move by hand: nothing outlives them."""
