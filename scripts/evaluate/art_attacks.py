"""Attacks that we did not write: the Adversarial Robustness Toolbox (ART) attacks two protected classifiers.

    art_attacks.py make    fashion|gtsrb DATA OUT [--only ATTACK]
    art_attacks.py measure fashion|gtsrb DATA OUT --bundle DIR

`make` needs the packages of requirements-art.txt. It attacks 200 rows that the classifier has right and
writes OUT/SET/ATTACK.npz (`x` attacked, `x0` clean, `y`, `success`) and OUT/SET/made.json. An attack whose
file is there is not made again. `measure` asks `tripline evaluate` about these files and writes
docs/detection-art.json and the page. DATA holds fashion-mnist/ and gtsrb/ (clean.npz and the classifier).

Every strength and budget stands below, and was chosen before any detector saw an attacked row. They are the
papers' or ART's own, except budgets, which are cut so that a set takes less than 20 CPU minutes.
"""

import argparse
import gzip
import json
import random
import time
from dataclasses import dataclass
from pathlib import Path

import report
from product import Tripline

ROOT = Path(__file__).resolve().parents[2]
ROWS, SEED = 200, 0


@dataclass(frozen=True)
class Set:
    """One protected classifier. The first rows of the test set are attacked; `clean` are others."""

    model: Path
    shape: tuple
    attacked: int
    clean: str
    labels: tuple = ()
    linf: dict = None
    l2: dict = None


def sets(data):
    images = data / "fashion-mnist"
    test, labels = images / "t10k-images-idx3-ubyte.gz", images / "t10k-labels-idx1-ubyte.gz"
    return {
        "fashion": Set(
            ROOT / "models/fashion-mnist/protected-model.onnx", (1, 28, 28), 5000,
            f"{test}@5000..10000", ("--labels", labels), {".05": 0.05, ".10": 0.1}, {"1": 1.0, "2": 2.0},
        ),
        "gtsrb": Set(
            data / "gtsrb/classifier-backdoored.onnx", (3, 32, 32), 500,
            f"{data / 'gtsrb/clean.npz'}@500..4000", (), {"4/255": 4 / 255, "8/255": 8 / 255}, {".5": 0.5, "1": 1.0},
        ),
    }  # fmt: skip


def plan(asked):
    """Name, title, ART's class, its parameters and the loss whose gradient it climbs."""
    for title, eps in asked.linf.items():
        # Croce and Hein: 100 steps, the first of 2 eps, one random start.
        climb = {"norm": "inf", "eps": eps, "eps_step": 2 * eps, "max_iter": 100, "nb_random_init": 1, "batch_size": ROWS}
        yield f"apgd-ce-{name_of(title)}", f"APGD-CE, L∞ {title}", "AutoProjectedGradientDescent", climb, "cross-entropy"
        yield f"apgd-dlr-{name_of(title)}", f"APGD-DLR, L∞ {title}", "AutoProjectedGradientDescent", climb, "logits-ratio"
    # Papernot and others: pixels become white, at most 14.5 % of them. Targets are drawn by ART.
    yield "jsma", "JSMA", "SaliencyMapMethod", {"theta": 1.0, "gamma": 0.145, "batch_size": ROWS}, "cross-entropy"
    # Engstrom and others: a tenth of the width, 30 degrees; they try 5 × 5 × 31 places. ART takes one place for all rows.
    places = {"max_translation": 10, "num_translations": 3, "max_rotation": 30, "num_rotations": 7}
    yield "spatial", "spatial transformation", "SpatialTransformation", places, None
    # Andriushchenko and others: .8 of the pixels at first. ART's own budget is 100 steps, theirs up to 10,000.
    blind = {"max_iter": 500, "p_init": 0.8, "nb_restarts": 1, "batch_size": ROWS}
    for norm, sign, strengths in (("inf", "L∞", asked.linf), (2, "L2", asked.l2)):
        for title, eps in strengths.items():
            name = f"square-l{norm}-{name_of(title)}"
            yield name, f"Square, {sign} {title}", "SquareAttack", {"norm": norm, "eps": eps, **blind}, None
    # ART's own values, but 5 constants from .1 on in the place of 9 from .001 on; Chen and others take 1,000 steps each.
    elastic = {"confidence": 0.0, "beta": 1e-3, "learning_rate": 1e-2, "binary_search_steps": 5, "max_iter": 100,
               "initial_const": 0.1, "decision_rule": "EN", "batch_size": ROWS}  # fmt: skip
    yield "ead", "EAD (elastic net)", "ElasticNet", elastic, "cross-entropy"
    # ART's own values, but 10 iterations in the place of 50.
    hops = {"norm": 2, "max_iter": 10, "init_eval": 100, "max_eval": 10_000, "init_size": 100, "batch_size": 256}
    yield "hopskipjump", "HopSkipJump, L2", "HopSkipJump", hops, None


def name_of(strength):
    """As files have it: 0.05 of ".05", 4 of "4/255"."""
    return ("0" if strength.startswith(".") else "") + strength.removesuffix("/255")


# ---- make -------------------------------------------------------------------------------------------


def test_rows(asked):
    """Pixels, uint8 [n, features], and labels of the part of the test set that may be attacked."""
    import numpy as np

    file = asked.clean.split("@")[0]
    if file.endswith(".npz"):
        with np.load(file) as arrays:
            x, y = arrays["x"], arrays["y"]
    else:
        x = np.frombuffer(gzip.open(file).read()[16:], np.uint8)
        y = np.frombuffer(gzip.open(asked.labels[1]).read()[8:], np.uint8)
    return x.reshape(len(y), -1)[: asked.attacked], y[: asked.attacked]


def starts(classifier, x, y, draws):
    """HopSkipJump's first rows: noise with another label, drawn here because ART draws it without a seed."""
    import numpy as np

    rng, found = np.random.default_rng(SEED), np.array(x)
    left = np.arange(len(x))
    for _ in range(draws):
        if not len(left):
            break
        noise = rng.random((len(left), *x.shape[1:]), np.float32)
        other = classifier.predict(noise).argmax(axis=1) != y[left]
        found[left[other]] = noise[other]
        left = left[~other]
    return found


def make_one(asked, kind, parameters, loss, x0, y):
    """Attacked rows, uint8, and what they cost."""
    import numpy as np
    from art.attacks import evasion
    from onnx_classifier import OnnxClassifier, check

    classifier = OnnxClassifier(asked.model, asked.shape, loss or "cross-entropy")
    x = (x0 / np.float32(255)).reshape(-1, *asked.shape)
    checked = check(classifier, x, np.eye(classifier.nb_classes)[y])
    classifier.asked, start = 0, time.process_time()
    np.random.seed(SEED)
    random.seed(SEED)
    more = {"x_adv_init": starts(classifier, x, y, parameters["init_size"])} if kind == "HopSkipJump" else {}
    # JSMA's `y` would be its target.
    labels = None if kind == "SaliencyMapMethod" else np.eye(classifier.nb_classes, dtype=np.float32)[y]
    attack = getattr(evasion, kind)(classifier, **parameters, verbose=False)
    attacked = attack.generate(x, labels, **more)
    spent, asked_rows = time.process_time() - start, classifier.asked
    # What a record can carry: one of 256 values each.
    rounded = np.rint(np.clip(attacked, 0, 1) * 255).astype(np.uint8).reshape(len(x), -1)
    success = classifier.predict(rounded / np.float32(255)).argmax(axis=1) != y
    return rounded, success, {"asked_per_row": asked_rows / len(x), "cpu_seconds": spent, **checked}


def distances(x, x0, success):
    """Mean L∞, in steps of 1/255, and mean L2, of pixels in [0, 1], of the rows that fooled the classifier."""
    import numpy as np

    moved = (x.astype(np.int64) - x0)[success]
    if not len(moved):
        return {"linf_mean": None, "l2_mean": None}
    return {"linf_mean": float(np.abs(moved).max(axis=1).mean()), "l2_mean": float(np.linalg.norm(moved / 255, axis=1).mean())}


def make(asked, out, only):
    import numpy as np
    from onnx_classifier import OnnxClassifier

    out.mkdir(parents=True, exist_ok=True)
    rows, labels = test_rows(asked)
    answers = OnnxClassifier(asked.model, asked.shape).predict(rows / np.float32(255)).argmax(axis=1)
    chosen = np.flatnonzero(answers == labels)[:ROWS]
    x0, y = rows[chosen], labels[chosen]
    made = out / "made.json"
    told = json.loads(made.read_text()) if made.exists() else {}
    for name, title, kind, parameters, loss in plan(asked):
        if (only and name not in only) or name in told and (out / f"{name}.npz").exists():
            continue
        x, success, cost = make_one(asked, kind, parameters, loss, x0, y)
        np.savez_compressed(out / f"{name}.npz", x=x, x0=x0, y=y, success=success)
        told[name] = {"title": title, "kind": kind, "parameters": parameters, "made": len(x), "fooled": int(success.sum()),
                      **distances(x, x0, success), **cost}  # fmt: skip
        made.write_text(json.dumps(told, indent=1) + "\n")
        print(f"evaluate: {name}: {told[name]['fooled']} of {len(x)} fool it, {cost['cpu_seconds']:.0f} CPU seconds", flush=True)


# ---- measure ----------------------------------------------------------------------------------------


def measure(tripline, asked, out, bundle):
    """What `make` told of each attack, and what `tripline evaluate` says of the rows that fool the classifier."""
    told = json.loads((out / "made.json").read_text())
    # An attack that was not made keeps its line.
    made = {name: told.get(name, {"title": title, "kind": kind, "parameters": parameters, "made": 0, "fooled": 0})
            for name, title, kind, parameters, _ in plan(asked)}  # fmt: skip
    suspects = [word for name, attack in made.items() if attack["fooled"] for word in ("--suspect", f"{name}={out / name}.npz#success")]
    done = tripline.run("evaluate", "--bundle", bundle, "--clean", asked.clean, *asked.labels, *suspects, "--json")
    if done.returncode:
        raise SystemExit(f"evaluate: evaluate failed\n{done.stderr[-2000:]}")
    told = json.loads(done.stdout)
    # Where the files lay is of this machine.
    for part in (told["clean"], *told["suspects"].values()):
        part.pop("file", None)
    return {"attacks": made, "report": told}


def main():
    parser = argparse.ArgumentParser(prog="art_attacks.py", description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("make", "measure"))
    parser.add_argument("set", choices=("fashion", "gtsrb"))
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--only", action="append", help="an attack by its name; can be given many times [default: all]")
    parser.add_argument("--bundle", type=Path, help="[default, of fashion: models/fashion-mnist]")
    parser.add_argument("--tripline", type=Path, default=ROOT / "target/debug/tripline")
    parser.add_argument("--onnxruntime", type=Path, default=ROOT / ".tools/onnxruntime/libonnxruntime.so")
    parser.add_argument("--docs", type=Path, default=ROOT / "docs")
    words = parser.parse_args()
    asked, out = sets(words.data)[words.set], words.out / words.set
    if words.what == "make":
        return make(asked, out, words.only)
    bundle = words.bundle or (ROOT / "models/fashion-mnist" if words.set == "fashion" else None)
    if not bundle:
        parser.error("--bundle is needed for gtsrb")
    told = measure(Tripline(words.tripline, words.onnxruntime, out), asked, out, bundle)
    path = words.docs / "detection-art.json"
    every = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps({**every, words.set: told}, indent=1) + "\n")
    report.write([], words.docs, ROOT)


if __name__ == "__main__":
    main()
