"""Records that a hostile sender writes: a shuffled deck of them, by a seed.

Each has the header `hostile` with its kind, so that the checker can say what became of it. Nothing here is an
attack on the protected model: those are in the load anyway. These are meant to stop, blind or flood the guard.
"""

import base64
import json
import random
import struct
from dataclasses import dataclass, field

# What the topics of a hostile run take, and the stream's value_bytes_max (tests/chaos/programs.rs).
SANITIZED_BYTES_MAX = 100_000
HELD_BYTES_MAX = 400_000
VALUE_BYTES_MAX = 600_000
INPUT_BYTES_MAX = 2_000_000
# The stamps that the sanitized topic takes.
BEFORE_MAX_MS = 86_400_000
AFTER_MAX_MS = 3_600_000
# The network of the hostile run's bundle answers NaN where x7 is this (tests/clients/sick.py).
SICK, SICK_FEATURE = -780.5, 7
# Bounds of a record's headers (src/codec/headers.rs).
HEADERS_MAX, HEADER_BYTES_MAX = 1000, 64 << 10

# Decks of which one has records that are too large.
SIZES_EVERY = 4

JSON, F32 = b"application/json", b"application/x-f32-le"
DAY_MS, MINUTE_MS = 86_400_000, 60_000
LOWEST, HIGHEST = -(1 << 63), (1 << 63) - 1

REFUSED = ("dead-letter:refused-timestamp", "quarantine")
TOO_MANY = ("dead-letter:too-many-headers",)
TOO_LARGE = ("dead-letter:undeliverable", "quarantine")
PASSES = ("pass", "correct", "quarantine")

# What may become of a record of a kind; of those that are not here anything but a stop.
EXPECTED = {
    **dict.fromkeys(("stamp-1970", "stamp-2100", "stamp-highest", "stamp-two-days-old", "stamp-two-days-ahead"), REFUSED),
    **dict.fromkeys(("stamp-none", "stamp-50-minutes-ahead", "stamp-50-minutes-old"), PASSES),
    **dict.fromkeys(("headers-1001", "headers-10000", "headers-99000", "headers-101000", "header-bytes-over"), TOO_MANY),
    **dict.fromkeys(("headers-1000", "header-bytes-most", "names-forged", "names-odd", "names-no-utf8"), PASSES),
    **dict.fromkeys(("names-forged-dead", "names-no-utf8-dead"), ("dead-letter:unreadable",)),
    **dict.fromkeys(("value-over-sanitized", "value-over-held", "value-at-most"), TOO_LARGE),
    **dict.fromkeys(("key-over-sanitized", "key-over-held"), TOO_LARGE),
    "value-near-sanitized": PASSES,
    **dict.fromkeys(("value-over-most", "value-huge"), ("dead-letter:too-large",)),
    **dict.fromkeys(("sick-json", "sick-f32"), ("quarantine:unscorable",)),
    "null": ("dead-letter:null-value",),
}


@dataclass
class Hostile:
    """One record. A name of bytes is no UTF-8. The stamp is in milliseconds, or `None`: when it is sent."""

    kind: str
    value: bytes | None
    content_type: bytes | None = JSON
    headers: list = field(default_factory=list)
    key: bytes | None = None
    stamp: int | None = None
    after_ms: int = 0  # the stamp is so long after the time of sending


def row_object(row, **more):
    return json.dumps({f"x{i}": x for i, x in enumerate(row)} | more).encode()


def padded(dice, row, size):
    """A readable record of exactly `size` bytes that does not compress well."""
    plain = len(row_object(row, note=""))
    return row_object(row, note=base64.b64encode(dice.randbytes(size))[:size - plain].decode())


def sick(row):
    return [*row[:SICK_FEATURE], SICK, *row[SICK_FEATURE + 1:]]


def stamps(dice, row):
    value = row_object(row)
    fixed = {"1970": 1000, "none": -1, "negative": -5, "lowest": LOWEST, "highest": HIGHEST, "2100": 4_102_444_800_000}
    for name, stamp in fixed.items():
        yield Hostile(f"stamp-{name}", value, stamp=stamp)
    after = {"two-days-old": -2 * DAY_MS, "two-days-ahead": 2 * DAY_MS, "50-minutes-ahead": 50 * MINUTE_MS,
             "50-minutes-old": -50 * MINUTE_MS}
    for name, ms in after.items():
        yield Hostile(f"stamp-{name}", value, after_ms=ms)


def headers(dice, row):
    value = row_object(row)
    # Beside these a record has three: its number, its kind, its content type.
    for n in (1000, 1001, 10_000, 99_000, 101_000):
        yield Hostile(f"headers-{n}", value, headers=[("a", None)] * (n - 3))
    for name, bytes_ in (("most", HEADER_BYTES_MAX), ("over", HEADER_BYTES_MAX + 1)):
        kind = f"header-bytes-{name}"
        others = len("chaos") + 16 + len("hostile") + len(kind) + len("content-type") + len(JSON)
        yield Hostile(kind, value, headers=[("a", b"x" * (bytes_ - others - 1))])
    forged = [("tripline-verdict", b"pass"), ("Tripline-Trace", b"\x03"), ("TRIPLINE-TIMESTAMP", b"1"), ("tripline-", None),
              ("__connect.errors.topic", b"elsewhere"), ("__Connect.Errors.exception.message", None),
              ("x-tripline-verdict", b"stays"), ("tripline-timestamp", b"-7")]
    yield Hostile("names-forged", value, headers=forged)
    yield Hostile("names-forged-dead", b"[1, 2", headers=forged)
    foreign = [(b"\xff\xfe", b"1"), (b"caf\xe9", None), (b"tripline-\xff", b"pass"), ("tag", b"\xff")]
    yield Hostile("names-no-utf8", value, headers=foreign)
    yield Hostile("names-no-utf8-dead", b"{", headers=foreign)
    yield Hostile("names-odd", value, headers=[("", b""), ("n" * 5000, b"1"), ("\u202eevil\n", b"\0"), ("tripline", b"1")])
    yield Hostile("types-two", value, headers=[("Content-Type", b"text/csv")])


def sizes(dice, row):
    for name, size in (("near-sanitized", SANITIZED_BYTES_MAX // 3), ("over-sanitized", 3 * SANITIZED_BYTES_MAX // 2),
                       ("over-held", 5 * HELD_BYTES_MAX // 4), ("at-most", VALUE_BYTES_MAX),
                       ("over-most", VALUE_BYTES_MAX + 1), ("huge", 3 * VALUE_BYTES_MAX)):
        yield Hostile(f"value-{name}", padded(dice, row, size))
    yield Hostile("key-over-sanitized", row_object(row), key=dice.randbytes(3 * SANITIZED_BYTES_MAX // 2))
    yield Hostile("key-over-held", row_object(row), key=dice.randbytes(5 * HELD_BYTES_MAX // 4))


def values(dice, row):
    packed = struct.pack(f"<{len(row)}f", *row)
    yield Hostile("sick-json", json.dumps(sick(row)).encode())
    yield Hostile("sick-f32", struct.pack(f"<{len(row)}f", *sick(row)), F32)
    yield Hostile("null", None)
    yield Hostile("null", None, None)
    yield Hostile("empty", b"", None)
    yield Hostile("empty", b"", F32)
    yield Hostile("framed", b"\0" + struct.pack(">I", dice.randrange(1 << 32)) + row_object(row), None)
    yield Hostile("framed", b"\0" + struct.pack(">I", dice.randrange(1 << 32)) + packed, b"application/vnd.apache.avro")
    yield Hostile("framed", row_object(row), None, headers=[("__value_schema_id", b"\1" + dice.randbytes(16))])
    yield Hostile("rows-64", json.dumps({"instances": [row] * 64}).encode())
    yield Hostile("rows-65", json.dumps({"instances": [row] * 65}).encode())
    yield Hostile("rows-5000", json.dumps({"instances": [row] * 5000}).encode())
    yield Hostile("rows-packed", packed * 2000, F32)
    yield Hostile("deep", b"[" * 90_000)
    yield Hostile("deep", b'{"instances": ' + b"[" * 500 + b"1" + b"]" * 500 + b"}")
    yield Hostile("members", json.dumps({f"m{i}": i for i in range(3000)}).encode())
    long = [b"1e999", b"-1e999", b"1e-999", b"9" * 4000, b"0." + b"3" * 4000]
    yield Hostile("numbers", b"[" + b", ".join(long + long[:4]) + b"]")
    yield Hostile("numbers", json.dumps(row).encode().replace(b"]", b"." + b"0" * 9000 + b"1]"))
    yield Hostile("bytes", dice.randbytes(dice.randrange(1, 3000)), None)
    yield Hostile("bytes", dice.randbytes(36), F32)
    yield Hostile("bytes", json.dumps(row).encode("utf-16"))


class Deck:
    """Deals hostile records without an end: every kind in turn, shuffled, and tricks of the readers' table between."""

    def __init__(self, seed, share, rows, tricks=()):
        self.dice, self.share, self.rows = random.Random(f"{seed} hostile"), share, rows
        self.tricks, self.trick, self.cards, self.decks = list(tricks), 0, [], 0

    def deal(self):
        """A hostile record, or most of the time none."""
        if self.dice.random() >= self.share:
            return None
        if not self.cards:
            row = self.dice.choice(self.rows)
            # What a topic refuses for its size costs a transaction each time: eleven in a deck.
            families = (stamps, headers, values) if self.decks % SIZES_EVERY else (stamps, headers, values, sizes)
            kinds = [card for family in families for card in family(self.dice, row)]
            self.decks += 1
            # Half are tricks: there are hundreds.
            tricks = [self.next_trick() for _ in kinds if self.tricks]
            self.cards = kinds + tricks
            self.dice.shuffle(self.cards)
        return self.cards.pop()

    def next_trick(self):
        trick = self.tricks[self.trick % len(self.tricks)]
        self.trick += 1
        return trick


def read_tricks(path):
    """Records of the readers' table, as tests/chaos writes them: a JSON object a line."""
    with open(path) as file:
        for line in file:
            trick = json.loads(line)
            found = [(name, text.encode()) for name, text in trick["headers"]]
            yield Hostile(f"trick-{trick['codec']}", base64.b64decode(trick["value"]), None, found)
