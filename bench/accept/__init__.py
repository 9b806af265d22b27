"""Contestants of B2 and the load that they get."""
