"""Headers whose names are no UTF-8, which confluent_kafka can neither send nor read: asks its librdkafka directly."""

import ctypes
import glob
import os
from ctypes import POINTER, byref, c_char_p, c_int, c_int32, c_int64, c_size_t, c_ssize_t, c_void_p

MS = 1000
CONFIG_OK, ERROR_BYTES = 0, 512


class Message(ctypes.Structure):
    """rd_kafka_message_t"""

    _fields_ = [("err", c_int), ("rkt", c_void_p), ("partition", c_int32), ("payload", c_void_p), ("len", c_size_t),
                ("key", c_void_p), ("key_len", c_size_t), ("offset", c_int64), ("private", c_void_p)]


def library():
    import confluent_kafka

    beside = os.path.join(os.path.dirname(confluent_kafka.__file__), os.pardir, "confluent_kafka.libs", "librdkafka*")
    loaded = ctypes.CDLL(glob.glob(beside)[0])
    for name in ("conf_new", "new", "topic_new", "headers_new"):
        getattr(loaded, f"rd_kafka_{name}").restype = c_void_p
    loaded.rd_kafka_consume.restype = POINTER(Message)
    loaded.rd_kafka_err2str.restype = c_char_p
    return loaded


class Client:
    """A producer (0) or a consumer without a group (1)."""

    def __init__(self, kind, settings):
        self.lib, said = library(), ctypes.create_string_buffer(ERROR_BYTES)
        conf = c_void_p(self.lib.rd_kafka_conf_new())
        for name, value in settings.items():
            value = str(value).lower() if isinstance(value, bool) else str(value)
            if self.lib.rd_kafka_conf_set(conf, name.encode(), value.encode(), said, ERROR_BYTES) != CONFIG_OK:
                raise ValueError(said.value.decode())
        self.handle = c_void_p(self.lib.rd_kafka_new(kind, conf, said, ERROR_BYTES))
        if not self.handle:
            raise ValueError(said.value.decode())
        self.topics = {}

    def topic(self, name):
        if name not in self.topics:
            self.topics[name] = c_void_p(self.lib.rd_kafka_topic_new(self.handle, name.encode(), None))
        return self.topics[name]

    def hold(self, code):
        if code:
            raise RuntimeError(self.lib.rd_kafka_err2str(code).decode())


class Producer(Client):
    def __init__(self, settings):
        super().__init__(0, settings)

    def produce(self, topic, value, key, partition, headers, timestamp):
        """`headers`: names and values; a name may be bytes, a value None."""
        made = c_void_p(self.lib.rd_kafka_headers_new(c_size_t(len(headers))))
        for name, value_ in headers:
            name = name.encode() if isinstance(name, str) else name
            size = -1 if value_ is None else len(value_)
            self.lib.rd_kafka_header_add(made, c_char_p(name), c_ssize_t(len(name)), c_char_p(value_), c_ssize_t(size))
        # Each field as librdkafka numbers it; 2 copies value and key at once.
        self.hold(self.lib.rd_kafka_producev(
            self.handle, c_int(2), self.topic(topic), c_int(3), c_int32(partition),
            c_int(4), c_char_p(value), c_size_t(len(value or b"")), c_int(5), c_char_p(key), c_size_t(len(key or b"")),
            c_int(7), c_int(2), c_int(8), c_int64(timestamp), c_int(10), made, c_int(0),
        ))

    def flush(self, seconds):
        """How many were not delivered."""
        self.lib.rd_kafka_flush(self.handle, c_int(int(seconds * MS)))
        return self.lib.rd_kafka_outq_len(self.handle)


class Consumer(Client):
    def __init__(self, brokers):
        super().__init__(1, {"bootstrap.servers": brokers, "isolation.level": "read_uncommitted", "log_level": 0})

    def headers(self, topic, partition, offset, seconds=20):
        """[(name, value)] of one record, both bytes."""
        at = self.topic(topic)
        if self.lib.rd_kafka_consume_start(at, c_int32(partition), c_int64(offset)):
            raise RuntimeError(f"{topic} partition {partition}: cannot be read")
        try:
            message = self.lib.rd_kafka_consume(at, c_int32(partition), c_int(int(seconds * MS)))
            if not message:
                raise TimeoutError(f"{topic} partition {partition} offset {offset}")
            self.hold(message.contents.err)
            if message.contents.offset != offset:
                raise RuntimeError(f"{topic} partition {partition}: offset {message.contents.offset} for {offset}")
            try:
                return self.all(message)
            finally:
                self.lib.rd_kafka_message_destroy(message)
        finally:
            self.lib.rd_kafka_consume_stop(at, c_int32(partition))

    def all(self, message):
        headers, found = c_void_p(), []
        if self.lib.rd_kafka_message_headers(message, byref(headers)):
            return found
        name, value, size = c_char_p(), c_void_p(), c_size_t()
        while not self.lib.rd_kafka_header_get_all(
            headers, c_size_t(len(found)), byref(name), byref(value), byref(size)
        ):
            found.append((name.value, ctypes.string_at(value, size.value) if value else None))
        return found
