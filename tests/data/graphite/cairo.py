"""Graphite imports it to draw pictures; nobody asks for one here, and the real one needs a system library."""
