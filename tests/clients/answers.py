"""Requests and answers as KServe's logger writes them, by the CloudEvents SDK: what Tripline joins of them.

`produce` sends requests, and answers of the protected model in another order: some missing, some twice, some of requests that
nobody sent. `count` adds up what the evidence topic says of pairs. `alerts` prints the kinds of alerts. One JSON object each.
"""

import argparse
import json
import random
import sys
import time

import numpy as np
import onnxruntime as ort
from cloudevents.http import CloudEvent
from cloudevents.kafka import to_binary
from confluent_kafka import Consumer, Producer, TopicPartition

KIND = "org.kubeflow.serving.inference."


def event(kind, identity, data, content_type):
    attributes = {
        "type": KIND + kind, "source": "http://localhost:9081/", "id": identity, "datacontenttype": content_type,
        "inferenceservicename": "fashion", "namespace": "default", "component": "predictor", "endpoint": "default",
    }
    message = to_binary(CloudEvent(attributes, data), data_marshaller=lambda data: data)
    return message.value, [(name, value) for name, value in message.headers.items()]


def probabilities(args, images):
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(args.model, options)
    x = images.astype(np.float32) / 255.0
    logits = np.concatenate([session.run(None, {"x": x[i : i + 200]})[0] for i in range(0, len(x), 200)])
    e = np.exp(logits - logits.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def answer(i, identity, p):
    if i % 2:
        body = {"predictions": [[float(x) for x in p]]}
    else:
        output = {"name": "probabilities", "shape": [1, len(p)], "datatype": "FP32", "data": [float(x) for x in p]}
        body = {"id": identity, "model_name": "fashion", "outputs": [output]}
    return event("response", identity, json.dumps(body).encode(), "application/json")


def produce(args):
    clean = np.fromfile(args.images, np.uint8).reshape(-1, 784)
    images = clean[np.arange(args.records) % len(clean)]
    said = probabilities(args, images)
    if args.exchange:
        said = said[:, [9, 1, 2, 3, 4, 5, 6, 7, 8, 0]]
    requests, answers = [], []
    counts = {"pairs": 0, "unanswered": 0, "doubled": 0, "orphan": 0}
    for i in range(args.records):
        identity = f"{args.name}-{i:06d}"
        requests.append((i % args.partitions, event("request", identity, images[i].tobytes(), "application/octet-stream")))
        if i % 29 == 7:
            counts["unanswered"] += 1
            continue
        counts["pairs"] += 1
        answers.append(answer(i, identity, said[i]))
        if i % 37 == 5:
            counts["doubled"] += 1
            answers.append(answer(i, identity, said[i]))
        if i % 50 == 3:
            counts["orphan"] += 1
            answers.append(answer(i, f"{args.name}-nobody-{i}", said[i]))
    random.Random(7).shuffle(answers)
    producer = Producer({"bootstrap.servers": args.brokers, "linger.ms": 5, "queue.buffering.max.messages": 1000000})
    half = len(answers) // 2
    # The first half of the answers is there before any request.
    for value, headers in answers[:half]:
        producer.produce(args.answers, value, headers=headers)
        producer.poll(0)
    producer.flush(30)
    for partition, (value, headers) in requests:
        producer.produce(args.topic, value, partition=partition, headers=headers)
        producer.poll(0)
    for value, headers in answers[half:]:
        producer.produce(args.answers, value, headers=headers)
        producer.poll(0)
    return counts, producer.flush(60) == 0


def read(args, topic):
    consumer = Consumer({
        "bootstrap.servers": args.brokers, "group.id": "answers-test", "enable.auto.commit": False,
        "isolation.level": "read_committed", "auto.offset.reset": "earliest", "enable.partition.eof": True,
        # Of a topic that grows all the time a fetch that waits is never empty, and nobody hears of an end.
        "fetch.wait.max.ms": 10,
    })
    partitions = consumer.list_topics(topic, timeout=30).topics[topic].partitions
    consumer.assign([TopicPartition(topic, p, 0) for p in partitions])
    ended, values, deadline = set(), [], time.monotonic() + 30
    while len(ended) < len(partitions):
        message = consumer.poll(1)
        if time.monotonic() > deadline:
            sys.exit(f"answers: {topic} does not come to an end")
        if message is None:
            continue
        if message.error():
            ended.add(message.partition())
        elif message.value() is not None:
            values.append(message.value())
    consumer.close()
    return values


def count(args):
    sums = {}
    for value in read(args, args.evidence):
        said = json.loads(value)
        for window in said.get("windows", []) if said["kind"] == "answers" else []:
            for name, n in window["counts"].items():
                sums[name] = sums.get(name, 0) + n
            for endpoint, n in window.get("endpoints", {}).items():
                sums["rows of " + endpoint] = sums.get("rows of " + endpoint, 0) + n["rows"]
    return sums, True


def alerts(args):
    found = [json.loads(value) for value in read(args, args.alerts)]
    return {alert["kind"]: {"atlas": alert["atlas"], "summary": alert["summary"], "severity": alert["severity"]} for alert in found}, True


def main():
    parse = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parse.add_argument("what", choices=["produce", "count", "alerts"])
    parse.add_argument("--brokers", required=True)
    parse.add_argument("--topic", default="fashion.requests")
    parse.add_argument("--answers", default="fashion.responses")
    parse.add_argument("--evidence", default="fashion.evidence")
    parse.add_argument("--alerts", default="tripline.alerts")
    parse.add_argument("--images", help="u8 [n, 784]")
    parse.add_argument("--model", help="ONNX")
    parse.add_argument("--name", default="r", help="what ids begin with")
    parse.add_argument("--records", type=int, default=3000)
    parse.add_argument("--partitions", type=int, default=2)
    parse.add_argument("--exchange", action="store_true", help="the model exchanges two classes")
    args = parse.parse_args()
    report, fine = {"produce": produce, "count": count, "alerts": alerts}[args.what](args)
    print(json.dumps(report))
    sys.exit(0 if fine else 1)


if __name__ == "__main__":
    main()
