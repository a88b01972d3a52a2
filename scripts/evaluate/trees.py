"""Measures what a guard of trees catches of public attacks that only ask, on public tables.

    python scripts/evaluate/trees.py DATA [--tripline BINARY] [--library FILE] [--work DIR] [--rows 120] [--seed 0]

DATA holds adbench/ and noaa-weather/. A table is cut into three: trees learn from the first part, `tripline fit` from the second, and what
is measured is of the third: clean rows, and attacks on rows that the trees have right. Attacks are those of ART, against the trees
themselves, on standardized columns; what is asked is a row that a record can say: clipped to the table's range, whole where a column has
whole numbers only. Nothing was chosen on these attacks. Packages: scripts/evaluate/requirements-models.txt.
"""

import argparse
import json
import os
import subprocess
import time
import warnings
from pathlib import Path

import numpy as np

warnings.filterwarnings("ignore")
os.environ.setdefault("OMP_NUM_THREADS", "1")

# The model's rows, the guard's rows; the rest is held out.
PARTS = {"magic": (6000, 10500), "weather": (6000, 10500), "shuttle": (12000, 20000)}
CASES = [
    ("magic", "lightgbm"),
    ("weather", "lightgbm"),
    ("shuttle", "lightgbm"),
    ("magic", "xgboost"),
    ("weather", "forest"),
    ("magic", "tree"),
]


def table(data, name):
    if name == "weather":
        x = np.loadtxt(data / "noaa-weather/NEweather_data.csv", delimiter=",")
        y = np.loadtxt(data / "noaa-weather/NEweather_class.csv", delimiter=",")
    else:
        file = {"magic": "22_magic.gamma.npz", "shuttle": "32_shuttle.npz"}[name]
        arrays = np.load(data / "adbench" / file)
        x, y = arrays["X"], arrays["y"]
    return x.astype(np.float32), y.ravel().astype(np.int64)


def model(kind, x, y, seed):
    """The trees, and their ONNX file as the exporter writes it."""
    from skl2onnx import convert_sklearn
    from skl2onnx.common.data_types import FloatTensorType as Floats

    def sklearn(trees):
        return convert_sklearn(trees, initial_types=[("x", Floats([None, x.shape[1]]))], options={id(trees): {"zipmap": False}})

    def mltools(convert, trees):
        import onnxmltools
        from onnxmltools.convert.common.data_types import FloatTensorType

        return getattr(onnxmltools, convert)(trees, initial_types=[("x", FloatTensorType([None, x.shape[1]]))])

    if kind == "lightgbm":
        import lightgbm

        trees = lightgbm.LGBMClassifier(n_estimators=200, random_state=seed, n_jobs=1, verbose=-1).fit(x, y)
        return trees, mltools("convert_lightgbm", trees)
    if kind == "xgboost":
        import xgboost

        trees = xgboost.XGBClassifier(n_estimators=200, random_state=seed, n_jobs=1).fit(x, y)
        return trees, mltools("convert_xgboost", trees)
    if kind == "forest":
        from sklearn.ensemble import RandomForestClassifier

        trees = RandomForestClassifier(100, random_state=seed, n_jobs=1).fit(x, y)
        return trees, sklearn(trees)
    from sklearn.tree import DecisionTreeClassifier

    trees = DecisionTreeClassifier(min_samples_leaf=10, random_state=seed).fit(x, y)
    return trees, sklearn(trees)


class Victim:
    """The trees as an attacker meets them: standardized columns in, probabilities out."""

    def __init__(self, trees, x):
        self.trees = trees
        self.mean, self.deviation = x.mean(0, dtype=np.float64), x.std(0, dtype=np.float64) + 1e-9
        self.low, self.high = x.min(0), x.max(0)
        self.whole = (x == np.round(x)).all(0)

    def record(self, z):
        x = np.clip(z * self.deviation + self.mean, self.low, self.high)
        return np.where(self.whole, np.round(x), x).astype(np.float32)

    def standard(self, x):
        return ((x - self.mean) / self.deviation).astype(np.float32)

    def predict(self, z):
        return self.trees.predict_proba(self.record(np.asarray(z)))

    def attacked(self, name, x, seed):
        from art.attacks.evasion import DecisionTreeAttack, HopSkipJump, ZooAttack
        from art.estimators.classification import BlackBoxClassifier, SklearnClassifier

        np.random.seed(seed)
        z = self.standard(x)
        if name == "decision-tree":
            attack = DecisionTreeAttack(SklearnClassifier(self.trees), verbose=False)
            return np.clip(attack.generate(x.astype(np.float64)), self.low, self.high).astype(np.float32)
        ends = self.standard(self.low), self.standard(self.high)
        if name == "zoo":
            # It takes one number for all columns only.
            ends = float(ends[0].min()), float(ends[1].max())
        art = BlackBoxClassifier(self.predict, z.shape[1:], self.trees.n_classes_, clip_values=ends)
        if name == "hop-skip-jump":
            attack = HopSkipJump(art, norm=2, max_iter=20, max_eval=500, init_eval=100, verbose=False)
        else:
            attack = ZooAttack(
                art, max_iter=20, binary_search_steps=10, learning_rate=0.1, initial_const=1e-3, nb_parallel=1,
                use_resize=False, use_importance=False, variable_h=0.2, verbose=False,
            )  # fmt: skip
        return self.record(attack.generate(z))


def tripline(args, *words):
    env = {**os.environ, "ORT_DYLIB_PATH": str(Path(args.library).resolve())}
    done = subprocess.run([args.tripline, *map(str, words)], env=env, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"tripline {words[0]} failed\n{done.stderr[-2000:]}")
    return done.stdout


def prepare(args, folder, name, kind):
    """Files of one case: guard's rows, clean rows, attacks, model."""
    folder.mkdir(parents=True, exist_ok=True)
    x, y = table(args.data, name)
    order = np.random.default_rng(args.seed).permutation(len(x))
    x, y = x[order], y[order]
    first, second = PARTS[name]
    held = first + second
    trees, onnx = model(kind, x[:first], y[:first], args.seed)
    (folder / "model.onnx").write_bytes(onnx.SerializeToString())
    np.savez(folder / "fit.npz", x=x[first:held], y=y[first:held])
    x, y = x[held:], y[held:]
    labels = trees.predict(x)
    told = {"accuracy": float((labels == y).mean()), "attacks": {}}
    right = np.flatnonzero(labels == y)[: args.rows]
    np.savez(folder / "clean.npz", x=np.delete(x, right, 0), y=np.delete(y, right))
    victim = Victim(trees, np.load(folder / "fit.npz")["x"])
    for attack in ["hop-skip-jump", "decision-tree" if kind == "tree" else "zoo"]:
        start, file = time.monotonic(), folder / f"{attack}.npz"
        moved = np.load(file)["x"] if file.exists() else victim.attacked(attack, x[right], args.seed)
        success = trees.predict(moved) != labels[right]
        far = np.linalg.norm(victim.standard(moved) - victim.standard(x[right]), axis=1)[success]
        np.savez(file, x=moved, success=success)
        far = float(np.median(far)) if success.any() else None
        told["attacks"][attack] = {"rows": len(right), "successes": int(success.sum()), "far": far}
        print(f"{name} {kind} {attack}: {success.sum()} of {len(right)}, {time.monotonic() - start:.0f} s", flush=True)
    (folder / "told.json").write_text(json.dumps(told, indent=1))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("--tripline", default="target/debug/tripline")
    parser.add_argument("--library", default=".tools/onnxruntime/libonnxruntime.so")
    parser.add_argument("--work", type=Path, default=Path("target/trees"))
    parser.add_argument("--rows", type=int, default=120)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", help="cases such as magic-lightgbm, with commas between them")
    args = parser.parse_args()
    lines = []
    for name, kind in CASES:
        if args.only and f"{name}-{kind}" not in args.only.split(","):
            continue
        folder = args.work / f"{name}-{kind}-{args.rows}-{args.seed}"
        if not (folder / "told.json").exists():
            prepare(args, folder, name, kind)
        told = json.loads((folder / "told.json").read_text())
        bundle = folder / f"bundle-{os.stat(args.tripline).st_mtime_ns}"
        if not bundle.exists():
            start = time.monotonic()
            said = tripline(args, "fit", "--data", folder / "fit.npz", "--name", "trees", "--out", bundle,
                            "--protected-model", folder / "model.onnx", "--seed", args.seed)  # fmt: skip
            said += f"\n{time.monotonic() - start:.0f} s\n"
            (folder / f"{bundle.name}.txt").write_text(said)
        suspects = [w for attack in told["attacks"] for w in ("--suspect", f"{attack}={folder / attack}.npz#success")]
        got = json.loads(tripline(args, "evaluate", "--bundle", bundle, "--clean", folder / "clean.npz", *suspects, "--json"))
        clean = got["clean"]
        low, high = clean["flagged_expected"]
        for attack, made in told["attacks"].items():
            suspect = got["suspects"].get(attack)
            caught = "–" if suspect is None else f"{suspect['flagged_share']:.2f}"
            auroc = "–" if suspect is None else f"{suspect['merged']['auroc']:.3f}"
            lines.append(
                f"| {name}, {kind} | {told['accuracy']:.3f} | {attack} | {made['successes']} of {made['rows']} | {made['far'] or 0:.2f} "
                f"| {caught} | {auroc} | {clean['flagged']} of {clean['n']} ({low} to {high}) |"
            )
            print(lines[-1], flush=True)
    print("\n| table, model | accuracy | attack | successes | median distance | caught | AUROC | clean flagged (expected) |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    print("\n".join(lines))


main()
