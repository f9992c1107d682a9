"""Code that is not ours, called in a process of its own that can be ended at any time."""
