"""How a report becomes a page, a file for machines, or a summary in a build's log."""
