"""A made-up city: generated from a seed, brought into a running system, played day by day."""
