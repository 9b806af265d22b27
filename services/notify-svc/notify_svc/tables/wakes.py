"""Names of notify's wake-ups."""

from typing import Final

# A delivery has become due: wakes the senders.
DUE: Final = "notify:due"
# Somebody was told something: wakes the streams.
FEED: Final = "notify:feed"
