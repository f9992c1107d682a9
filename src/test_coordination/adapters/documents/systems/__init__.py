"""Topologies: the services of a system under test."""
