"""Pages about the language, the catalogue and the errors, made from the code."""
