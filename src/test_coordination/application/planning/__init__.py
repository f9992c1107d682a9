"""From a scenario to a plan: copies made, targets chosen, values settled, ends known."""
