"""Documents laid over those that they extend, each part keeping its place."""
