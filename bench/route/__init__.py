"""Contestants of B1: the same needs routed by Handoff, by its peers, and written without logic."""
