#!/usr/bin/env python3
"""Who made which version of a Debian package, when and in which time zone: a log of access that every Debian machine has.

    tests/clients/changelogs.py /usr/share/doc > log.csv

Prints lines of `seconds,client,origin`, in order of time. A client is a running number instead of an address; an origin is
the time zone in quarters of an hour. Nothing else of a changelog is printed.
"""

import email.utils
import gzip
import re
import sys
from pathlib import Path

LINE = re.compile(r"^ -- .*? <(.*?)>  (.*)$", re.MULTILINE)


def entries(root):
    """(seconds, address, quarters of an hour) of each entry, once; a folder may be a link to another."""
    found = set()
    files = {path.resolve() for name in ("changelog.Debian*.gz", "changelog.gz") for path in root.glob(f"*/{name}")}
    for path in files:
        try:
            text = gzip.open(path, "rt", encoding="utf-8", errors="replace").read()
        except OSError:
            continue
        for address, date in LINE.findall(text):
            parsed = email.utils.parsedate_tz(date)
            if parsed and parsed[9] is not None:
                found.add((email.utils.mktime_tz(parsed), address.lower(), parsed[9] // 900))
    return sorted(entry for entry in found if entry[0] > 631_152_000)


numbers = {}
for seconds, address, zone in entries(Path(sys.argv[1])):
    print(f"{seconds},{numbers.setdefault(address, len(numbers))},{zone}")
