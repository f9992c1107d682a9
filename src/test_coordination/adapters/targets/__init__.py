"""Things under test that can be started, stopped and frozen."""
