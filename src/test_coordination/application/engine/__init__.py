"""What carries an execution from its first step to its verdict."""
