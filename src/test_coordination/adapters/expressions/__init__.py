"""Expressions in CEL, by way of `cel_expr_python`."""
