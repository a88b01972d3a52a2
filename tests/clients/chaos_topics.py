"""Reads whole topics, group offsets and ends of a cluster as they are now."""

import operator
import time

import raw
from check import NotRead

# A name that is no UTF-8 leaves an exception behind, and a direct call of this method, once Python has
# specialised it, no longer looks for one: it would show at some later line.
HEADERS = operator.methodcaller("headers")


class Topics:
    """Reads topics as they are now."""

    def __init__(self, brokers, deadline):
        self.brokers, self.deadline, self.raw = brokers, deadline, None

    def left(self):
        return max(0.1, self.deadline - time.monotonic())

    def consumer(self, isolation, group="chaos-check"):
        from confluent_kafka import Consumer

        return Consumer({
            "bootstrap.servers": self.brokers, "group.id": group, "enable.auto.commit": False,
            "enable.partition.eof": True, "auto.offset.reset": "error", "isolation.level": isolation,
        })

    def bounds(self, consumer, topic):
        from confluent_kafka import TopicPartition

        def ask():
            # The answer also tells the client who leads the partitions now: one of three nodes may have just died.
            known = consumer.list_topics(topic, timeout=min(10, self.left())).topics[topic].partitions
            if not known:
                raise NotRead(f"there is no topic {topic}")
            return {p: consumer.get_watermark_offsets(TopicPartition(topic, p), min(10, self.left())) for p in known}

        return self.patiently(topic, ask)

    def patiently(self, what, ask):
        """Asks again while the cluster refuses to answer, as long as there is time."""
        from confluent_kafka import KafkaException

        while True:
            try:
                return ask()
            except KafkaException as error:
                if time.monotonic() > self.deadline:
                    raise NotRead(f"{what}: {error}") from error
                time.sleep(0.5)

    def ends(self, topic):
        """{partition: (end of the log, end of what is decided)}"""
        whole, decided = self.consumer("read_uncommitted"), self.consumer("read_committed")
        try:
            high, stable = self.bounds(whole, topic), self.bounds(decided, topic)
            return {p: (high[p][1], stable[p][1]) for p in high}
        finally:
            whole.close()
            decided.close()

    def read(self, topic, isolation="read_committed"):
        """Every record, each partition in the order of its log."""
        from confluent_kafka import KafkaError, TopicPartition

        consumer = self.consumer(isolation)
        whole = self.consumer("read_uncommitted")
        try:
            bounds = self.bounds(whole, topic)
            reached = {p: low for p, (low, _) in bounds.items()}
            open_ = {p for p, (low, high) in bounds.items() if low < high}
            consumer.assign([TopicPartition(topic, p, low) for p, (low, _) in bounds.items()])
            while open_:
                if time.monotonic() > self.deadline:
                    raise NotRead(f"{topic}: not to the end in time, an open transaction? {bounds} {reached}")
                for m in consumer.consume(2000, timeout=0.2):
                    p, error = m.partition(), m.error()
                    if error is None:
                        reached[p] = m.offset() + 1
                        yield m
                    elif error.code() == KafkaError._PARTITION_EOF:
                        reached[p] = max(reached[p], m.offset())
                    elif error.fatal():
                        raise NotRead(f"{topic}: {error}")
                    if p in open_ and reached[p] >= bounds[p][1]:
                        open_.discard(p)
        finally:
            consumer.close()
            whole.close()

    def headers(self, m):
        """[(name, value)]; what of a name is no UTF-8 is escaped. Asked once of each record."""
        try:
            return HEADERS(m) or []
        except SystemError:  # a name that is no UTF-8
            self.raw = self.raw or raw.Consumer(self.brokers)
            found = self.raw.headers(m.topic(), m.partition(), m.offset())
            return [(name.decode(errors="surrogateescape"), value) for name, value in found]

    def committed(self, group, topic, partitions):
        from confluent_kafka import TopicPartition

        consumer = self.consumer("read_committed", group)
        try:
            asked = [TopicPartition(topic, p) for p in partitions]
            found = self.patiently(group, lambda: consumer.committed(asked, timeout=min(10, self.left())))
            return {at.partition: max(at.offset, 0) for at in found}
        finally:
            consumer.close()
