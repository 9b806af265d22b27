"""What the portal does; ``commands`` is its table of contents."""
