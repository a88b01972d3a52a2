#!/usr/bin/env python3
"""Opens a window of a federation with the trustees' secret keys: Ristretto255 (RFC 9496) in plain Python.

    federation.py FOLDER WINDOW KEY...      FOLDER/WINDOW.*.tally, .sum, .share; prints the counters as JSON

It shares no code with Tripline. It adds the sites' ciphertexts, compares with the sum, computes each trustee's share, compares with
the share's file, and finds each counter below 65,536 in a table.
"""

import hashlib
import json
import pathlib
import struct
import sys

P = 2**255 - 19
D = -121665 * pow(121666, -1, P) % P
I = pow(2, (P - 1) // 4, P)


def root_of_ratio(u, v):
    r = u * v**3 * pow(u * v**7, (P - 5) // 8, P) % P
    check = v * r * r % P
    if check in (-u % P, -u * I % P):
        r = r * I % P
    return check in (u % P, -u % P), abs_(r)


def abs_(x):
    x %= P
    return P - x if x & 1 else x


def decode(data):
    s = int.from_bytes(data, "little")
    if s >= P or s & 1:
        raise ValueError("not canonical")
    ss = s * s % P
    u1, u2 = (1 - ss) % P, (1 + ss) % P
    v = (-D * u1 * u1 - u2 * u2) % P
    square, r = root_of_ratio(1, v * u2 * u2 % P)
    x_den, y_den = r * u2 % P, r * r * u2 * v % P
    x, y = abs_(2 * s * x_den), u1 * y_den % P
    t = x * y % P
    if not square or t & 1 or y == 0:
        raise ValueError("no point")
    return x, y, 1, t


ONE_MINUS_D_ROOT = root_of_ratio(1, (-1 - D) % P)[1]


def encode(point):
    x, y, z, t = point
    u1, u2 = (z + y) * (z - y) % P, x * y % P
    r = root_of_ratio(1, u1 * u2 * u2 % P)[1]
    den1, den2 = r * u1 % P, r * u2 % P
    z_inv = den1 * den2 * t % P
    if t * z_inv % P & 1:
        x, y, den = y * I % P, x * I % P, den1 * ONE_MINUS_D_ROOT % P
    else:
        den = den2
    if x * z_inv % P & 1:
        y = -y % P
    return abs_(den * (z - y)).to_bytes(32, "little")


def add(p, q):
    a, b = (p[1] - p[0]) * (q[1] - q[0]) % P, (p[1] + p[0]) * (q[1] + q[0]) % P
    c, d = 2 * p[3] * q[3] * D % P, 2 * p[2] * q[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def negative(p):
    return -p[0] % P, p[1], p[2], -p[3] % P


ZERO = (0, 1, 1, 0)


def times(k, p):
    sum_ = ZERO
    while k:
        if k & 1:
            sum_ = add(sum_, p)
        p, k = add(p, p), k >> 1
    return sum_


G_Y = 4 * pow(5, -1, P) % P
G_X = root_of_ratio(G_Y * G_Y - 1, D * G_Y * G_Y + 1)[1]
G = (G_X, G_Y, 1, G_X * G_Y % P)


def body(path, kind, each, after_preamble=0):
    data = path.read_bytes()
    version, got = data[0], data[1]
    assert (version, got) == (1, kind), path
    (n,) = struct.unpack("<I", data[80:84])
    at = 84 + after_preamble
    return data, [data[at + i * each : at + (i + 1) * each] for i in range(n)]


def main(folder, window, keys):
    folder = pathlib.Path(folder)
    tallies = sorted(folder.glob(f"{window}.*.tally"))
    total = None
    for tally in tallies:
        pairs = [(decode(c[:32]), decode(c[32:])) for c in body(tally, 1, 64)[1]]
        add_pair = lambda a, b: (add(a[0], b[0]), add(a[1], b[1]))
        total = pairs if total is None else [add_pair(a, b) for a, b in zip(total, pairs)]
    data, sums = body(folder / f"{window}.sum", 2, 64)
    assert [encode(a) + encode(b) for a, b in total] == sums, "another sum"
    left = [second for _, second in total]
    for key in keys:
        _, role, name, digits = pathlib.Path(key).read_text().split()
        x = int.from_bytes(bytes.fromhex(digits), "little")
        shares = [times(x, first) for first, _ in total]
        record, told = body(folder / f"{window}.{name}.share", 3, 32, 32)
        assert record[84:116] == hashlib.sha256(data).digest(), "a share of another sum"
        assert [encode(share) for share in shares] == told, "another share"
        left = [add(a, negative(b)) for a, b in zip(left, shares)]
    table, at = {}, ZERO
    encoded = [encode(point) for point in left]
    missing = set(encoded)
    for m in range(65536):
        here = encode(at)
        if here in missing:
            table[here] = m
            missing.discard(here)
        if not missing:
            break
        at = add(at, G)
    print(json.dumps([table[point] for point in encoded]))


if __name__ == "__main__":
    # RFC 9496, A.1.
    assert encode(G).hex() == "e2f2ae0a6abc4e71a884a961c500515f58e30b6aa582dd8db6a65945e08d2d76"
    assert encode(times(3, G)).hex() == "94741f5d5d52755ece4f23f044ee27d5d1ea1e2bd196b462166b16152a9d0259"
    assert encode(decode(encode(times(5, G)))) == encode(times(5, G))
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
