"""What is done once and not undone: one module a family."""
