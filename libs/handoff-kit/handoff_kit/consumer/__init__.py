"""From the log into a service: sets of events, each set one transaction.

What a consumer group promises (``docs/delivery.md``):

* offset, gate, inbox and effect are one transaction; the database's offset is the truth;
* an event with a sequence is applied once and in order for its (source, topic, key); one without
  is applied once for its (source, id);
* a set that fails is halved until the bad event stands alone, which is then parked and blocks
  only its own key; what comes behind it waits, in order, for the operator's retry or drop;
* events that wait for another writer's are kept aside, all of a set at once, and tried again as
  sets;
* a transient failure parks nothing: the group pauses and tries again.
"""

from handoff_kit.consumer.applying import ABREAST, Consumer
from handoff_kit.consumer.in_hand import InHand
from handoff_kit.consumer.model import Fenced, Group, ParkingCap, Received
from handoff_kit.consumer.waiting import each

__all__ = ["ABREAST", "Consumer", "Fenced", "Group", "InHand", "ParkingCap", "Received", "each"]
