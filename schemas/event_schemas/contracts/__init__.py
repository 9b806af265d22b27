"""The events as contracts for others: JSON Schema, AsyncAPI, and what may change in them."""
