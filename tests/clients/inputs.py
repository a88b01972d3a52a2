"""The requests our end-to-end test sends, and how to read them back: numbers only, no Kafka.

It shares no code with Tripline, on purpose: where the two disagree, one of them is wrong.
"""

import gzip
import json
import random
import struct
from dataclasses import dataclass

import numpy as np

WIDTH = 784
JSON, F32, U8 = "application/json", "application/x-f32-le", "application/x-u8"
FORMATS = (JSON, F32, U8)
# What a pixel becomes in JSON; the longest of them has 20 characters.
PIXEL_TEXT = [repr(pixel / 255) for pixel in range(256)]


@dataclass(frozen=True)
class Request:
    """One record to send, and what must become of it."""

    partition: int
    key: bytes | None
    value: bytes | None
    headers: list  # of (name, bytes or None), in order, names may repeat
    timestamp: int  # ms
    kind: str  # clean | attack | malformed
    format: str  # its content-type
    expect_fault: str | None


def load_images(path):
    """u8 [n, 784] from .u8 (no header), .npy, .npz (key x) or idx, the last also gzipped."""
    if path.endswith(".u8"):
        images = np.fromfile(path, np.uint8).reshape(-1, WIDTH)
    elif path.endswith(".npy"):
        images = np.load(path)
    elif path.endswith(".npz"):
        images = np.load(path)["x"]
    else:
        with (gzip.open if path.endswith(".gz") else open)(path, "rb") as file:
            magic, n, rows, columns = struct.unpack(">4I", file.read(16))
            if magic != 0x803:
                raise ValueError(f"{path} is neither .npy nor .npz nor idx images")
            images = np.frombuffer(file.read(), np.uint8).reshape(n, rows * columns)
    images = images.reshape(len(images), -1)
    if images.dtype != np.uint8 or images.shape[1] != WIDTH:
        raise ValueError(f"{path} holds {images.dtype} {images.shape}; uint8 [n, {WIDTH}] wanted")
    return images


# ---- formats ----------------------------------------------------------------------------------


def json_body(index, pixels):
    """`pixels` are texts. The id and the note are there to survive a correction untouched."""
    return f'{{"id": {index}, "note": "é", "pixels": [{", ".join(pixels)}]}}'.encode()


def f32_row(image):
    return image.astype("<f4") / np.float32(255)


def encode(form, index, image):
    if form == JSON:
        return json_body(index, [PIXEL_TEXT[pixel] for pixel in image])
    if form == F32:
        return f32_row(image).tobytes()
    return image.tobytes()


def decode(form, value):
    """f64 [784] within [0, 1], or ValueError saying what is wrong."""
    if form == JSON:
        pixels = json.loads(value)["pixels"]
        if not all(type(pixel) in (int, float) for pixel in pixels):
            raise ValueError("a pixel is not a number")
        row = np.array(pixels, float)
    elif form == F32:
        row = np.frombuffer(value, "<f4").astype(float)
    elif form == U8:
        row = np.frombuffer(value, np.uint8) / 255
    else:
        raise ValueError(f"unknown format {form}")
    if row.shape != (WIDTH,):
        raise ValueError(f"{row.shape} values")
    if not np.isfinite(row).all():
        raise ValueError("a value is not finite")
    if row.min() < 0 or row.max() > 1:
        raise ValueError(f"values from {row.min()} to {row.max()}")
    return row


# ---- malformed --------------------------------------------------------------------------------
# Each takes (random, index, image, too_large) and returns (content-type, value).


def truncated_json(rng, index, image, _):
    whole = encode(JSON, index, image)
    return JSON, whole[: rng.randrange(len(whole))]  # down to nothing, which is not null


def string_in_json(rng, index, image, _):
    # A number in quotes is a number; a word is none.
    pixels = [PIXEL_TEXT[pixel] for pixel in image]
    pixels[rng.randrange(WIDTH)] = '"dark"'
    return JSON, json_body(index, pixels)


def arity_json(rng, index, image, _):
    pixels = [PIXEL_TEXT[pixel] for pixel in image]
    return JSON, json_body(index, pixels[:-1] if rng.random() < 0.5 else pixels + ["0.0"])


def arity_f32(rng, _index, image, _):
    values = rng.choice([0, 1, WIDTH - 1, WIDTH + 1, 2 * WIDTH + 1])  # twice the width is two rows
    return F32, np.resize(f32_row(image), values).tobytes()


def arity_u8(_rng, _index, image, _):
    return U8, image[:-1].tobytes()


def not_finite(rng, _index, image, _):
    row = f32_row(image)
    row[rng.randrange(WIDTH)] = rng.choice([np.nan, np.inf, -np.inf])
    return F32, row.tobytes()


def bounds_f32(rng, _index, image, _):
    row = f32_row(image)
    row[rng.randrange(WIDTH)] = rng.choice([1.5, -3.0])
    return F32, row.tobytes()


def bounds_json(rng, index, image, _):
    pixels = [PIXEL_TEXT[pixel] for pixel in image]
    pixels[rng.randrange(WIDTH)] = rng.choice(["1.5", "-3", "-3.0"])
    return JSON, json_body(index, pixels)


def null_value(rng, _index, _image, _):
    return rng.choice(FORMATS), None


def too_large(rng, index, image, limit):
    # Sound in every other way: blanks are allowed before a JSON object.
    return JSON, b" " * (limit - rng.randrange(2)) + encode(JSON, index, image)


def unknown_format(rng, index, image, _):
    return "application/x-unknown", encode(rng.choice(FORMATS), index, image)


MALFORMED = [
    (truncated_json, "unreadable"),
    (string_in_json, "wrong-type"),
    (arity_json, "wrong-arity"),
    (arity_f32, "wrong-arity"),
    (arity_u8, "wrong-arity"),
    (not_finite, "not-finite"),
    (bounds_f32, "out-of-bounds"),
    (bounds_json, "out-of-bounds"),
    (null_value, "null-value"),
    (too_large, "too-large"),
    (unknown_format, "unknown-format"),
]


# ---- the run ----------------------------------------------------------------------------------


def random_key(rng, index):
    return rng.choice([None, b"", f"user-{index % 97}".encode(), rng.randbytes(8), b"\x00\xff\xfe"])


def random_headers(rng, form):
    """Everything Kafka allows: repeated names, null and empty and binary values, any order."""
    headers = [("content-type", form.encode())]
    if rng.random() < 0.5:
        headers.append(("request-id", f"{rng.getrandbits(64):016x}".encode()))
    if rng.random() < 0.2:
        headers += [("hop", b"edge"), ("hop", b"gateway")]
    if rng.random() < 0.2:
        headers.append(("nothing", None))
    if rng.random() < 0.2:
        headers.append(("empty", b""))
    if rng.random() < 0.2:
        headers.append(("binary", rng.randbytes(rng.randrange(1, 40))))
    rng.shuffle(headers)
    return headers


def requests(clean, attack, *, records, malformed, seed, partitions, attack_share, attack_from, attack_to,
             start_ms, gap_ms, too_large):
    """Yields `records` requests. The same arguments give the same requests, byte for byte."""
    rng = random.Random(seed)
    order = list(range(partitions))
    rng.shuffle(order)
    bad = set(rng.sample(range(records), malformed))
    for i in range(records):
        image = clean[rng.randrange(len(clean))]
        form, kind, fault = rng.choice(FORMATS), "clean", None
        if i in bad:
            make, fault = rng.choice(MALFORMED)
            kind = "malformed"
            form, value = make(rng, i, image, too_large)
        else:
            if attack_from * records <= i < attack_to * records and rng.random() < attack_share:
                kind, image = "attack", attack[rng.randrange(len(attack))]
            value = encode(form, i, image)
        yield Request(
            partition=order[i % partitions],
            key=random_key(rng, i),
            value=value,
            headers=random_headers(rng, form),
            timestamp=start_ms + i * gap_ms,
            kind=kind,
            format=form,
            expect_fault=fault,
        )
