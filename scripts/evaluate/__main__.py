"""Measures every row that docs/detection.md shows, on the official data sets, and writes it.

    make evaluate DATA=DIR [ONLY=tables|nsl-kdd|fashion] [SEEDS=3] [BACKDOORED=1] [WORK=DIR]

DATA holds adbench/, nsl-kdd/, fashion-mnist/ and fashion-attacks/. Every number comes out of the
`tripline` binary, by the commands that users run. What was measured with the same binary, files and
options is kept in WORK and not measured again, so a run that was stopped goes on where it was.
"""

import argparse
from pathlib import Path

import peers
import report
import splits
from cases import ADBENCH, BADNETS, BLENDED, CLASSIFIER, FASHION, SETS
from product import Tripline

ROOT = Path(__file__).resolve().parents[2]
MEASURES = ("auroc", "ap", "tpr_at_1pct", "tpr_at_01pct")
REDTEAM = ("--rows", 50, "--restarts", 1)
SHARES = ("flagged_share", "accuracy_before", "accuracy_if_all_corrected", "accuracy_delivered")


def rows_of(told, group, seed, case=None, **more):
    """An evaluation as rows of the table: the clean file, each suspect, and each detector on it."""
    base = {"group": group, "seed": seed, "budget": told["budget"], **more}
    clean = {key: told["clean"].get(key) for key in ("n", *SHARES)}
    low, high = told["clean"]["flagged_expected"]
    clean |= {"flagged": told["clean"]["flagged"], "expected_low": low, "expected_high": high}
    clean["refused"] = sum(told["clean"]["refused"].values())
    rows = [{**base, "case": case or "clean", "score": "clean", **clean}]
    for name, suspect in told["suspects"].items():
        row = {**base, "case": case or name, "suspect": name, "n": suspect["n"]}
        shares = {key: suspect.get(key) for key in SHARES}
        shares["refused"] = sum(suspect["refused"].values())
        rows.append({**row, "score": "merged", **{key: suspect["merged"][key] for key in MEASURES}, **shares})
        for kind, measure in suspect["detectors"].items():
            rows.append({**row, "score": kind, **{key: measure[key] for key in MEASURES}})
    return rows


def budget_for(rows):
    """The least share in whole percent that ten of a tenth of the rows make up: what `fit` asks."""
    return f"{max(1, -(-1000 // (rows // 10 - 1)))}%"


def adbench(tripline, data, work, seeds, setting):
    rows = []
    for name in SETS:
        for seed in seeds:
            place = work / "splits" / f"{name}-{setting}-{seed}"
            train, *_ = splits.adbench(data, name, setting, seed, place)
            words = ["--budget", budget_for(train), "--seed", seed]
            # What share of them is anomalous nobody is told: a quarter is left out of each.
            words += ["--contaminated", "25%"] if setting == "contaminated" else []
            label = f"adbench-{setting}-{name}-{seed}"
            bundle = tripline.bundle(label, place / "train.npy", *words)
            told = tripline.evaluate(label, bundle, place / "clean.npy", {"anomalies": place / "anomalies.npy"})
            rows += rows_of(told, f"adbench-{setting}", seed, case=name)
    return rows


def nsl_kdd(tripline, data, work, seeds):
    place = work / "splits" / "nsl-kdd"
    counts = splits.nsl_kdd(data, place)
    suspects = {"all attacks": place / "attacks.csv"} | {
        kind: place / f"{kind}.csv" for kind in counts if kind not in ("train", "clean", "attacks")
    }
    header, _ = splits.read_csv(place / "train.csv")
    groups = {kind: splits.read_csv(place / f"{kind}.csv")[1] for kind in counts}
    rows = []
    for seed in seeds:
        label = f"nsl-kdd-{seed}"
        bundle = tripline.bundle(label, place / "train.csv", "--budget", "1%", "--seed", seed)
        rows += rows_of(tripline.evaluate(label, bundle, place / "clean.csv", suspects), "nsl-kdd", seed)
        for name in peers.NAMES:

            def measure(_):
                tables = peers.prepared(header, groups)
                kinds = [kind for kind in tables if kind != "train"]
                scores = dict(zip(kinds, peers.scores(name, seed, tables["train"], [tables[kind] for kind in kinds])))
                clean = scores.pop("clean")
                return {kind: peers.measured(clean, attacks) for kind, attacks in scores.items()}

            # The peer does not change with our binary; what it is asked does not either.
            files = [Path(peers.__file__), *(place / f"{kind}.csv" for kind in counts)]
            digest, tripline.digest = tripline.digest, ""
            told = tripline.kept(f"{label}-{name.replace(' ', '-')}", [name, seed], files, measure)
            tripline.digest = digest
            for kind, measure in told.items():
                case = "all attacks" if kind == "attacks" else kind
                rows.append({"group": "nsl-kdd", "seed": seed, "case": case, "suspect": case, "score": name, **measure})
    return rows


def fashion(tripline, data, seeds, backdoored):
    """Rows and what `redteam` told, again after each fit: so a run that is stopped leaves what it has."""
    attacks, images = data / "fashion-attacks", data / "fashion-mnist"
    train = [images / "train-images-idx3-ubyte.gz", "--labels", images / "train-labels-idx1-ubyte.gz"]
    files = [images / "t10k-images-idx3-ubyte.gz", images / "t10k-labels-idx1-ubyte.gz"]
    test, labels = f"{files[0]}@5000..10000", ["--labels", files[1]]
    rows, first = [], None
    for seed in seeds:
        for guards in (CLASSIFIER, BADNETS, BLENDED):
            if guards != CLASSIFIER and seed not in backdoored:
                continue
            label = f"fashion-{guards}-{seed}"
            model = ["--protected-model", attacks / f"{guards}.onnx"]
            bundle = tripline.bundle(label, *train, *model, "--budget", "1%", "--seed", seed)
            first = first or bundle
            suspects = {case.name: attacks / case.rows for case in FASHION if case.guards == guards}
            told = tripline.evaluate(label, bundle, test, suspects, *labels)
            rows += rows_of(told, "fashion", seed, guards=guards)
            strict = tripline.evaluate(f"{label}-strict", bundle, test, {}, *labels, "--budget", "0.1%")
            rows += rows_of(strict, "fashion", seed, case="clean at 0.1 %", guards=guards)
            yield rows, {}
    # It takes longer than a fit: one bundle shows it.
    words = ["--data", files[0], *labels, *REDTEAM]
    yield rows, {seeds[0]: tripline.told(f"fashion-{CLASSIFIER}-{seeds[0]}", "redteam", first, words, files)}


def main():
    parser = argparse.ArgumentParser(prog="evaluate", description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--only", choices=("tables", "nsl-kdd", "fashion"))
    parser.add_argument("--seeds", type=int, default=3, help="how many, from 0 [default: 3]")
    parser.add_argument("--backdoored", type=int, help="seeds of the guards of backdoored classifiers [default: as many]")
    parser.add_argument("--work", type=Path, default=ROOT / ".tools/evaluate")
    parser.add_argument("--tripline", type=Path, default=ROOT / "target/debug/tripline")
    parser.add_argument("--onnxruntime", type=Path, default=ROOT / ".tools/onnxruntime/libonnxruntime.so")
    parser.add_argument("--docs", type=Path, default=ROOT / "docs")
    asked = parser.parse_args()
    tripline = Tripline(asked.tripline, asked.onnxruntime, asked.work)
    seeds = range(asked.seeds)
    # Each part is written when it is there, so that a run that is stopped leaves what it has.
    if asked.only in (None, "tables"):
        for case in ADBENCH:
            report.write(adbench(tripline, asked.data, asked.work, seeds, case.name), asked.docs, ROOT)
    if asked.only in (None, "tables", "nsl-kdd"):
        report.write(nsl_kdd(tripline, asked.data, asked.work, seeds), asked.docs, ROOT)
    if asked.only in (None, "fashion"):
        backdoored = range(asked.seeds if asked.backdoored is None else asked.backdoored)
        for rows, adaptive in fashion(tripline, asked.data, seeds, backdoored):
            report.write(rows, asked.docs, ROOT, adaptive)


main()
