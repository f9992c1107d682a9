"""What can be done to a service and undone: one module a family."""
