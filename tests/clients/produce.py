"""Sends clean, attacked and malformed requests to a topic and writes down what it sent.

The ledger has one JSON line per delivered record; check.py holds the outputs against it.
"""

import argparse
import hashlib
import json
import sys
import time

from confluent_kafka import Producer

from inputs import load_images, requests


def arguments():
    parse = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parse.add_argument("--brokers", required=True)
    parse.add_argument("--topic", required=True)
    parse.add_argument("--clean", required=True, metavar="FILE", help="images u8 [n, 784]: .npy, .npz (key x), idx")
    parse.add_argument("--attack", required=True, metavar="FILE", help="the same, attacked or triggered")
    parse.add_argument("--ledger", required=True, metavar="FILE")
    parse.add_argument("--records", type=int, default=20000)
    parse.add_argument("--malformed", type=int, default=500, help="so many of --records")
    parse.add_argument("--seed", type=int, default=0)
    parse.add_argument("--attack-share", type=float, default=0.2, help="of the records between --attack-from and -to")
    parse.add_argument("--attack-from", type=float, default=0.3, help="fraction of the run")
    parse.add_argument("--attack-to", type=float, default=0.5, help="fraction of the run")
    parse.add_argument("--too-large", type=int, default=262144, help="bytes the stream allows")
    parse.add_argument("--start-ms", type=int, help="timestamp of the first record; default: the last one is now")
    parse.add_argument("--gap-ms", type=int, default=20, help="between timestamps")
    parse.add_argument("--rate", type=float, default=0, help="records per second; 0: as fast as possible")
    parse.add_argument("--timeout", type=float, default=120, help="seconds to wait for the broker at the end")
    return parse.parse_args()


def ledger_entry(topic, offset, request):
    value = request.value
    return {
        "topic": topic,
        "partition": request.partition,
        "offset": offset,
        "sha256": None if value is None else hashlib.sha256(value).hexdigest(),
        "key": None if request.key is None else request.key.hex(),
        "headers": [[name, None if v is None else v.hex()] for name, v in request.headers],
        "timestamp": request.timestamp,
        "kind": request.kind,
        "format": request.format,
        "expect_fault": request.expect_fault,
    }


def main():
    args = arguments()
    producer = Producer({
        "bootstrap.servers": args.brokers,
        "enable.idempotence": True,  # acks=all, no doubles and no gaps of our own making
        "linger.ms": 5,
        "compression.type": "lz4",
    })
    partitions = len(producer.list_topics(args.topic, timeout=30).topics[args.topic].partitions)
    if partitions == 0:
        sys.exit(f"produce: no topic {args.topic} at {args.brokers}")
    start_ms = args.start_ms if args.start_ms is not None else int(time.time() * 1000) - args.records * args.gap_ms
    failed = []
    delivered = dict.fromkeys(("clean", "attack", "malformed"), 0)

    with open(args.ledger, "w") as ledger:
        def note(request):
            def on_delivery(error, message):
                if error is not None:
                    failed.append(error)
                    return
                delivered[request.kind] += 1
                ledger.write(json.dumps(ledger_entry(args.topic, message.offset(), request)) + "\n")
            return on_delivery

        began = time.monotonic()
        run = requests(
            load_images(args.clean), load_images(args.attack), records=args.records, malformed=args.malformed,
            seed=args.seed, partitions=partitions, attack_share=args.attack_share, attack_from=args.attack_from,
            attack_to=args.attack_to, start_ms=start_ms, gap_ms=args.gap_ms, too_large=args.too_large,
        )
        for i, request in enumerate(run):
            if args.rate > 0:
                while (early := began + i / args.rate - time.monotonic()) > 0:
                    producer.poll(early)
            while True:
                try:
                    producer.produce(
                        args.topic, request.value, request.key, partition=request.partition,
                        headers=request.headers, timestamp=request.timestamp, on_delivery=note(request),
                    )
                    break
                except BufferError:
                    producer.poll(0.1)
            producer.poll(0)
        unsent = producer.flush(args.timeout)
    if failed or unsent:
        sys.exit(f"produce: {len(failed)} failed ({failed[:1]}), {unsent} without an answer")
    seconds = time.monotonic() - began
    print(json.dumps({"records": sum(delivered.values()), **delivered, "partitions": partitions,
                      "start_ms": start_ms, "seconds": round(seconds, 2)}))


if __name__ == "__main__":
    main()
