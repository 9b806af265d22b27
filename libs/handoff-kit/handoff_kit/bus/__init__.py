"""The log between services: ports here, PostgreSQL in ``postgres``, Apache Kafka in ``kafka``.

Nothing in a service knows which of the two it runs on.
"""

from handoff_kit.bus.ports import Log, Publisher, Reader, Record, Rejected

__all__ = ["Log", "Publisher", "Reader", "Record", "Rejected"]
