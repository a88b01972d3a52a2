"""HKDF (RFC 5869) under the names that confluent-kafka's local driver imports: the package `hkdf` has no wheel to pin."""

import hashlib
import hmac


def hkdf_extract(salt, key, hash=hashlib.sha512):
    return hmac.digest(salt or b"\0" * hash().digest_size, key, hash)


def hkdf_expand(prk, info=b"", length=32, hash=hashlib.sha512):
    out, block = b"", b""
    for i in range(-(-length // hash().digest_size)):
        block = hmac.digest(prk, block + info + bytes([i + 1]), hash)
        out += block
    return out[:length]
