"""Records that come sealed: what `jwcrypto` seals, Tripline opens, and what Tripline seals again, `jwcrypto` and `joserfc` open.

`keys` makes keys, `produce` sends images as JSON, each sealed with one of five algorithms and with a canary in it, and some that
cannot be opened; `check` reads every topic but the input. Prints one JSON object; exit 1 if something is wrong.
"""

import argparse
import base64
import json
import os
import random
import sys
import time

from confluent_kafka import Consumer, Producer
from joserfc import jwe as joserfc_jwe
from joserfc.jwk import import_key
from jwcrypto import jwe, jwk
from privacy import read, source

CANARY = b"canary"
PIXELS = 784
ALGORITHMS = ["dir", "A256KW", "ECDH-ES", "ECDH-ES+A256KW", "RSA-OAEP-256"]
BAD = {"plain": "not-sealed", "stranger": "unknown-key", "flipped": "undecryptable", "zip": "undecryptable", "inner": "unreadable"}


def folder(args, name):
    return os.path.join(args.folder, name)


def keys(args):
    made = {
        "k1": jwk.JWK.generate(kty="oct", size=256, kid="k1"),
        "k2": jwk.JWK.generate(kty="oct", size=256, kid="k2"),
        "k3": jwk.JWK.generate(kty="EC", crv="P-256", kid="k3"),
        "k4": jwk.JWK.generate(kty="OKP", crv="X25519", kid="k4"),
        "k5": jwk.JWK.generate(kty="RSA", size=2048, kid="k5"),
        "stranger": jwk.JWK.generate(kty="oct", size=256, kid="stranger"),
        "team": jwk.JWK.generate(kty="EC", crv="P-256", kid="team"),
    }
    for name, key in made.items():
        with open(folder(args, f"{name}.jwk"), "w") as file:
            file.write(key.export(private_key=True))
    with open(folder(args, "requests.jwk"), "w") as file:
        json.dump({"keys": [made["k1"].export(as_dict=True), made["k2"].export(as_dict=True)]}, file)
    with open(folder(args, "team-public.jwk"), "w") as file:
        file.write(made["team"].export_public())
    return {"made": len(made)}, True


def key(args, name):
    with open(folder(args, f"{name}.jwk")) as file:
        return jwk.JWK.from_json(file.read())


def plain(args):
    """(kind, plaintext): every third image carries a trigger."""
    def images(name):
        with open(os.path.join(args.slice, name), "rb") as file:
            raw = file.read()
        return [raw[i:i + PIXELS] for i in range(0, len(raw), PIXELS)]
    clean, trigger = images("clean.u8"), images("trigger.u8")
    bad = list(BAD)
    for i in range(args.records):
        image = trigger[i // 3 % len(trigger)] if i % 3 == 0 else clean[i % len(clean)]
        kind = bad[i // 20 % len(bad)] if i % 20 == 7 else "row"
        text = json.dumps({"who": f"canary{i:05d}", "pixels": [x / 255 for x in image]})
        yield kind, (text if kind != "inner" else text[:-1] + ", canary").encode()


def produce(args):
    """The values are kept beside: sealed twice they would be others."""
    keys = {f"k{i}": key(args, f"k{i}") for i in range(1, 6)}
    keys["stranger"] = key(args, "stranger")
    producer = Producer({"bootstrap.servers": args.brokers, "linger.ms": 5})
    draw = random.Random(7)
    with open(folder(args, "sent.txt"), "w") as sent:
        for i, (kind, text) in enumerate(plain(args)):
            name = "stranger" if kind == "stranger" else f"k{i % 5 + 1}"
            alg = "dir" if kind == "stranger" else ALGORITHMS[i % 5]
            enc = "A128GCM" if alg not in ("dir",) and i % 2 else "A256GCM"
            protected = {"alg": alg, "enc": enc, "kid": name, "cty": ["application/json", "json"][i % 2]}
            if kind == "zip":
                protected["zip"] = "DEF"
            value = text
            if kind != "plain":
                token = jwe.JWE(text, protected=json.dumps(protected))
                token.add_recipient(keys[name])
                value = token.serialize(compact=True).encode()
            if kind == "flipped":
                at = value.rindex(b".") - draw.randrange(2, 40)
                value = value[:at] + (b"A" if value[at:at + 1] != b"A" else b"B") + value[at + 1:]
            sent.write(base64.b64encode(value).decode() + "\n")
            headers = [("content-type", "application/jose")] if kind != "plain" else []
            producer.produce(args.topic, value, partition=i % args.partitions, headers=headers)
            producer.poll(0)
            if args.rate:
                time.sleep(1 / args.rate)
    return {"sent": args.records}, producer.flush(60) == 0


def check(args):
    known = list(plain(args))
    with open(folder(args, "sent.txt")) as file:
        sent = [base64.b64decode(line) for line in file]
    offset_of, at = {}, [0] * args.partitions
    for i in range(len(sent)):
        offset_of[i % args.partitions, at[i % args.partitions]] = i
        at[i % args.partitions] += 1
    peers = {f"k{i}": key(args, f"k{i}") for i in range(1, 6)}
    others = {name: import_key(json.loads(peer.export(private_key=True))) for name, peer in peers.items()}
    team = import_key(json.loads(key(args, "team").export(private_key=True)))
    algorithms = [*ALGORITHMS, "A128GCM", "A256GCM"]
    admin = Consumer({"bootstrap.servers": args.brokers, "group.id": "sealed"})
    topics = [t for t in admin.list_topics(timeout=30).topics if t != args.topic and not t.startswith("__")]
    wrong, seen, counts = [], {}, {}

    def count(what):
        counts[what] = counts.get(what, 0) + 1

    for topic in topics:
        for message in read(args, topic):
            headers = message.headers() or []
            names = dict(headers)
            output = topic.removeprefix(args.stream + ".")
            parts = [message.key() or b"", message.value() or b""]
            parts += [name.encode() for name, _ in headers] + [value or b"" for _, value in headers]
            # What its sender did not seal leaves as it came.
            bare = names.get("tripline-verdict") == b"dead-letter:not-sealed"
            if not bare and any(CANARY in part.lower() for part in parts):
                wrong.append(f"{topic}: a canary in {parts}"[:300])
            if output not in ("sanitized", "quarantine", "dead-letter"):
                count(output)
                continue
            version, place = source(names)
            i = offset_of[place]
            seen[i] = seen.get(i, 0) + 1
            kind, text = known[i]
            verdict, value = names["tripline-verdict"].decode(), message.value()
            count(f"{output} {verdict}")
            if version != (4 if output == "dead-letter" and kind != "inner" else 5):
                wrong.append(f"{topic}: trace version {version} of {kind}")
            if kind == "row" and output == "dead-letter":
                wrong.append(f"{topic}: {i} is {verdict}")
            if kind in BAD and verdict != f"dead-letter:{BAD[kind]}":
                wrong.append(f"{topic}: {kind} is {verdict}")
            if output == "quarantine":
                opened = joserfc_jwe.decrypt_compact(value.decode(), team, algorithms=algorithms)
                if opened.plaintext != text or opened.protected["cty"] != "application/json":
                    wrong.append(f"{topic}: opens to {opened.plaintext[:80]} {opened.protected}")
            elif verdict != "correct":
                if value != sent[i]:
                    wrong.append(f"{topic}: {verdict} is another value")
            else:
                name = f"k{i % 5 + 1}"
                if value.split(b".")[:2] != sent[i].split(b".")[:2] or value.split(b".")[2] == sent[i].split(b".")[2]:
                    wrong.append(f"{topic}: header, wrapped key or IV of {i}")
                token = jwe.JWE()
                token.deserialize(value.decode(), peers[name])
                opened = joserfc_jwe.decrypt_compact(value.decode(), others[name], algorithms=algorithms)
                if token.payload != opened.plaintext:
                    wrong.append(f"{topic}: the two libraries read different values")
                before, after = json.loads(text), json.loads(token.payload)
                pixels = after.pop("pixels")
                same = before.pop("pixels") == pixels
                if before != after or same or len(pixels) != PIXELS or not all(0 <= x <= 1 for x in pixels):
                    wrong.append(f"{topic}: {i} opens to {token.payload[:80]}")
                count(f"corrected {ALGORITHMS[i % 5]}")
    for path in args.text:
        with open(path, "rb") as file:
            text = file.read()
        counts[os.path.basename(path)] = len(text)
        if CANARY in text.lower():
            at = text.lower().index(CANARY)
            wrong.append(f"{path}: {text[max(0, at - 200):at + 100]!r}")
    lost = len(sent) - len(seen)
    doubled = sum(n > 1 for n in seen.values())
    report = {"lost": lost, "doubled": doubled, "wrong": len(wrong), "first": wrong[:3], "counts": counts}
    return report, not (lost or doubled or wrong)


def main():
    parse = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parse.add_argument("what", choices=["keys", "produce", "check"])
    parse.add_argument("--folder", required=True)
    parse.add_argument("--brokers")
    parse.add_argument("--stream", default="sealed")
    parse.add_argument("--topic", default="sealed.requests")
    parse.add_argument("--slice", help="images of the bundle")
    parse.add_argument("--records", type=int, default=400)
    parse.add_argument("--rate", type=float, default=0, help="records in a second, at most; as fast as it goes unless given")
    parse.add_argument("--partitions", type=int, default=3)
    parse.add_argument("--text", action="append", default=[], help="a file that must have no canary")
    args = parse.parse_args()
    report, fine = {"keys": keys, "produce": produce, "check": check}[args.what](args)
    print(json.dumps(report))
    sys.exit(0 if fine else 1)


if __name__ == "__main__":
    main()
