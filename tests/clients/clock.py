"""In which window each record of a partition counts: the rule of docs/evidence.md, written down a second time.

A record's own timestamp decides while it agrees with its neighbours in the log; else the partition's present does.
"""

from collections import deque

NEIGHBOURS, REACH, APART_MAX_MS = 63, 8, 300_000
TIMESTAMP_MAX = 253_402_300_799_999


class Clock:
    def __init__(self):
        self.last, self.head = deque(maxlen=NEIGHBOURS), 0

    def date(self, timestamp, window_ms, by_broker=False):
        """(start of the window, whether the record in the middle of the last 63 has a stamp far from all of them)"""
        at = min(max(timestamp, 0), TIMESTAMP_MAX)
        if by_broker:
            self.last.clear()
        self.last.append(at)
        near = sorted(self.last)
        end = len(near) - 1
        middle, aside = near[end // 2], end * 3 // 8
        reach = REACH * min(middle - near[aside], near[end - aside] - middle)
        present = max(stamp for stamp in near if stamp <= middle + reach + window_ms)
        if not self.head - APART_MAX_MS <= present < self.head:
            self.head = present
        self.head -= self.head % window_ms
        own = at - at % window_ms
        window = own if self.head - window_ms <= own <= self.head else self.head
        far = abs(self.last[NEIGHBOURS // 2] - middle) if len(self.last) == NEIGHBOURS else 0
        return window, far > APART_MAX_MS + reach
