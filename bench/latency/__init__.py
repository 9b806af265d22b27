"""The parts of B3: the demo city as it runs, an open load, who watches, and what bounds it."""
