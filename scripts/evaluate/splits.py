"""Which rows a guard learns from and which it is measured on, as files that `tripline` reads.

The protocols are those of the literature that the goals come from; nothing here looks at a score.
"""

import csv
import gzip
from pathlib import Path

import numpy as np
from sklearn.model_selection import train_test_split

from cases import SETS

# ADBench's own limits, and that of its train-on-normals variant (Livernoche et al., ICLR 2024).
ROWS_MIN, ROWS_MAX, ROWS_MAX_CLEAN = 1000, 10_000, 50_000


def save(path, x):
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, np.ascontiguousarray(x, dtype=np.float32))


def adbench(data, name, setting, seed, out):
    """Writes train.npy, clean.npy and anomalies.npy into `out`; the number of rows of each.

    clean: a random half of the normal rows trains; the others and all anomalies are tested.
    contaminated: 70 of 100 rows train, anomalies among them; the other 30 are tested.
    """
    file = np.load(data / "adbench" / f"{SETS[name]}.npz")
    x, y = file["X"].astype(np.float64), file["y"].astype(int)
    random = np.random.RandomState(seed)
    if setting == "contaminated":
        if len(y) < ROWS_MIN:
            drawn = random.choice(len(y), ROWS_MIN, replace=True)
            x, y = x[drawn], y[drawn]
        if len(y) > ROWS_MAX:
            drawn = random.choice(len(y), ROWS_MAX, replace=False)
            x, y = x[drawn], y[drawn]
        train, x, _, y = train_test_split(x, y, test_size=0.3, shuffle=True, stratify=y, random_state=seed)
        clean, anomalies = x[y == 0], x[y == 1]
    else:
        if len(y) > ROWS_MAX_CLEAN:
            drawn = random.choice(len(y), ROWS_MAX_CLEAN, replace=False)
            x, y = x[drawn], y[drawn]
        normal = random.permutation(np.flatnonzero(y == 0))
        half = len(normal) // 2
        train, clean, anomalies = x[normal[:half]], x[normal[half:]], x[y == 1]
    for kind, rows in (("train", train), ("clean", clean), ("anomalies", anomalies)):
        save(out / f"{kind}.npy", rows)
    return len(train), len(clean), len(anomalies)


def nsl_kdd(data, out):
    """Writes train.csv, clean.csv, attacks.csv and one file per attack class into `out`; rows of each.

    The official files: normal rows of KDDTrain+_20Percent train, KDDTest+ is tested. Kinds of attack
    that attack_types.csv does not know, since no training file has them, are a class of their own.
    """
    folder = data / "nsl-kdd"
    with open(folder / "field_names.csv", newline="") as file:
        header = [row[0] for row in csv.reader(file) if row][:41]
    classes = attack_classes(folder / "attack_types.csv")

    def read(name):
        # The last column is how many of 21 learners got the row right: not a feature.
        with gzip.open(folder / f"{name}.txt.gz", "rt", newline="") as file:
            return [(row[:41], row[41]) for row in csv.reader(file)]

    groups = {"train": [row for row, label in read("KDDTrain+_20Percent") if label == "normal"]}
    for row, label in read("KDDTest+"):
        kinds = ["clean"] if label == "normal" else ["attacks", classes.get(label, "new")]
        for kind in kinds:
            groups.setdefault(kind, []).append(row)
    out.mkdir(parents=True, exist_ok=True)
    for kind, rows in groups.items():
        with open(out / f"{kind}.csv", "w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(header)
            writer.writerows(rows)
    return {kind: len(rows) for kind, rows in groups.items()}


def attack_classes(path):
    with open(path, newline="") as file:
        return {row[0].strip(): row[1].strip() for row in csv.reader(file) if len(row) > 1}


def read_csv(path: Path):
    with open(path, newline="") as file:
        header, *rows = csv.reader(file)
    return header, rows
