"""Which exporters' files `tripline fit --protected-model` takes as they are: a table in Markdown.

    python scripts/evaluate/exporters.py [--tripline BINARY] [--library FILE] [--work DIR] [--only NAME]

Each model learns a made-up table of 2,000 rows, is exported as the exporter does it if nobody asks for anything else, and goes into a fit
of one epoch. A cell says what became of it: "as exported", or the sentence of `fit`. What an exporter cannot write itself is "–", with the
reason below the table. An exporter whose package is not there is left out. Packages: scripts/evaluate/requirements-models.txt; for Keras
and PyTorch `torch`, `onnxscript`, `tensorflow-cpu` and `tf2onnx` too, which the file does not pin: they are large.
"""

import argparse
import os
import shutil
import subprocess
import sys
import traceback
import warnings
from pathlib import Path

import numpy as np

warnings.filterwarnings("ignore")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

NUMBERS, WORDS = ["amount", "age", "score", "items"], {"country": ["AT", "DE", "IT"], "device": ["phone", "web"]}
VARIANTS = ["classifier", "binary", "words", "quantized"]


class No(Exception):
    """The exporter itself cannot."""


def table(folder):
    """A table of numbers, one of numbers and words, and labels of three and of two kinds."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2000, len(NUMBERS))).astype(np.float32)
    words = {name: rng.choice(values, len(x)) for name, values in WORDS.items()}
    three = np.digitize(x[:, 0] + x[:, 1] + 0.3 * rng.normal(size=len(x)), [-0.7, 0.7])
    two = (x[:, 0] - x[:, 2] + (words["country"] == "DE") > 0).astype(np.int64)
    numbers = ["%.6g" % v for v in x.ravel()]
    rows = [numbers[i : i + len(NUMBERS)] for i in range(0, len(numbers), len(NUMBERS))]
    head = ",".join(NUMBERS)
    (folder / "numbers.csv").write_text("\n".join([head, *map(",".join, rows)]) + "\n")
    both = [",".join([*row, *w]) for row, *w in zip(rows, *words.values())]
    (folder / "words.csv").write_text("\n".join([",".join([head, *WORDS]), *both]) + "\n")
    return x, words, three, two


def sklearn_inputs(words):
    from skl2onnx.common.data_types import FloatTensorType, StringTensorType

    if words:
        numbers = [(name, FloatTensorType([None, 1])) for name in NUMBERS]
        return numbers + [(name, StringTensorType([None, 1])) for name in WORDS]
    return [("X", FloatTensorType([None, len(NUMBERS)]))]


def pipeline(model, x, words, y):
    import pandas as pd
    from sklearn.compose import ColumnTransformer
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    frame = pd.DataFrame({**dict(zip(NUMBERS, x.T)), **words})
    columns = [("numbers", StandardScaler(), NUMBERS), ("words", OneHotEncoder(sparse_output=False), list(WORDS))]
    return Pipeline([("columns", ColumnTransformer(columns)), ("model", model)]).fit(frame, y)


def of_sklearn(make, options=None, register=None):
    def write(path, variant, x, words, three, two):
        from skl2onnx import convert_sklearn

        if register:
            register()
        model = make()
        with_words = variant == "words"
        y = three if variant in ("classifier", "quantized") else two
        model = pipeline(model, x, words, y) if with_words else model.fit(x, y)
        target = {"": 17, "ai.onnx.ml": 3}
        told = {id(model): options} if options else None
        onnx = convert_sklearn(model, initial_types=sklearn_inputs(with_words), target_opset=target, options=told)
        path.write_bytes(onnx.SerializeToString())

    return write


def of_mltools(make, convert, register):
    within = of_sklearn(make, register=register)

    def write(path, variant, x, words, three, two):
        if variant == "words":
            return within(path, variant, x, words, three, two)
        import onnxmltools
        from onnxmltools.convert.common.data_types import FloatTensorType

        model = make().fit(x, two if variant == "binary" else three)
        onnx = getattr(onnxmltools, convert)(model, initial_types=[("input", FloatTensorType([None, x.shape[1]]))])
        path.write_bytes(onnx.SerializeToString())

    return write


def register_lightgbm():
    from lightgbm import LGBMClassifier
    from onnxmltools.convert.lightgbm.operator_converters.LightGbm import convert_lightgbm
    from skl2onnx import update_registered_converter
    from skl2onnx.common.shape_calculator import calculate_linear_classifier_output_shapes as shapes

    options = {"nocl": [True, False], "zipmap": [True, False, "columns"]}
    update_registered_converter(LGBMClassifier, "LightGbm", shapes, convert_lightgbm, options=options)


def register_xgboost():
    from onnxmltools.convert.xgboost.operator_converters.XGBoost import convert_xgboost
    from skl2onnx import update_registered_converter
    from skl2onnx.common.shape_calculator import calculate_linear_classifier_output_shapes as shapes
    from xgboost import XGBClassifier

    options = {"nocl": [True, False], "zipmap": [True, False, "columns"]}
    update_registered_converter(XGBClassifier, "XGBoost", shapes, convert_xgboost, options=options)


def forest():
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(30, max_depth=6, random_state=0)


def perceptron():
    from sklearn.neural_network import MLPClassifier

    return MLPClassifier((16,), max_iter=60, random_state=0)


def lightgbm():
    from lightgbm import LGBMClassifier

    return LGBMClassifier(n_estimators=30, verbose=-1)


def xgboost():
    from xgboost import XGBClassifier

    return XGBClassifier(n_estimators=30)


def catboost(path, variant, x, words, three, two):
    from catboost import CatBoostClassifier

    if variant == "words":
        raise No("CatBoost writes ONNX without categories only")
    model = CatBoostClassifier(iterations=30, verbose=False, allow_writing_files=False)
    model.fit(x, two if variant == "binary" else three).save_model(str(path), format="onnx")


def torch(dynamo):
    def write(path, variant, x, words, three, two):
        import torch

        if variant == "words":
            raise No("PyTorch has no tensors of words")
        torch.manual_seed(0)
        binary = variant == "binary"
        last = [torch.nn.Linear(16, 1), torch.nn.Sigmoid()] if binary else [torch.nn.Linear(16, 3)]
        model = torch.nn.Sequential(torch.nn.Linear(x.shape[1], 16), torch.nn.ReLU(), *last)
        loss = torch.nn.BCELoss() if binary else torch.nn.CrossEntropyLoss()
        y = torch.tensor(two, dtype=torch.float32)[:, None] if binary else torch.tensor(three)
        step = torch.optim.Adam(model.parameters(), 0.02)
        for _ in range(100):
            step.zero_grad()
            loss(model(torch.tensor(x)), y).backward()
            step.step()
        torch.onnx.export(model.eval(), (torch.tensor(x[:1]),), str(path), dynamo=dynamo)

    return write


def keras(path, variant, x, words, three, two):
    import keras

    if variant == "words":
        raise No("tf2onnx does not write Keras' StringLookup")
    keras.utils.set_random_seed(0)
    binary = variant == "binary"
    last = keras.layers.Dense(1, "sigmoid") if binary else keras.layers.Dense(3, "softmax")
    model = keras.Sequential([keras.Input((x.shape[1],)), keras.layers.Dense(16, "relu"), last])
    model.compile("adam", "binary_crossentropy" if binary else "sparse_categorical_crossentropy")
    model.fit(x, two if binary else three, epochs=3, verbose=0)
    model.export(str(path), format="onnx", verbose=False)


EXPORTERS = {
    "scikit-learn forest, skl2onnx": ("skl2onnx", of_sklearn(forest)),
    "scikit-learn perceptron, skl2onnx with `zipmap: columns`": ("skl2onnx", of_sklearn(perceptron, {"zipmap": "columns"})),
    "LightGBM, onnxmltools": ("lightgbm", of_mltools(lightgbm, "convert_lightgbm", register_lightgbm)),
    "XGBoost, onnxmltools": ("xgboost", of_mltools(xgboost, "convert_xgboost", register_xgboost)),
    "CatBoost, its own": ("catboost", catboost),
    "PyTorch, TorchScript": ("torch", torch(False)),
    "PyTorch, dynamo": ("torch", torch(True)),
    "Keras, its own": ("keras", keras),
}  # fmt: skip


def quantize(path):
    from onnxruntime.quantization import quantize_dynamic

    whole = path.with_name("whole.onnx")
    path.rename(whole)
    quantize_dynamic(str(whole), str(path))


def fit(args, folder, data, model):
    out = folder / "bundle"
    shutil.rmtree(out, ignore_errors=True)
    words = ["fit", "--data", data, "--name", "m", "--out", out, "--protected-model", model, "--budget", "5%", "--epochs-max", "1"]
    env = {**os.environ, "ORT_DYLIB_PATH": str(Path(args.library).resolve())}
    done = subprocess.run([args.tripline, *map(str, words)], env=env, capture_output=True, text=True)
    if done.returncode == 0:
        found = next(line for line in done.stdout.splitlines() if line.startswith("  protected    "))
        return "as exported", found.split("    ", 1)[1].strip()
    said = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    return (said[-1].removeprefix("error: ") if said else done.stderr[-300:]), ""


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--tripline", default="target/debug/tripline")
    parser.add_argument("--library", default=".tools/onnxruntime/libonnxruntime.so")
    parser.add_argument("--work", type=Path, default=Path("target/exporters"))
    parser.add_argument("--only")
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    made = table(args.work)
    lines, notes = [], []
    for i, (name, (package, write)) in enumerate(EXPORTERS.items()):
        if args.only and args.only not in name:
            continue
        try:
            __import__(package)
        except ImportError as error:
            print(f"{name}: left out: {error}", file=sys.stderr)
            continue
        cells = []
        for variant in VARIANTS:
            folder = args.work / f"{i}-{variant}"
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            path = folder / "model.onnx"
            try:
                write(path, variant, *made)
                if variant == "quantized":
                    quantize(path)
                said, found = fit(args, folder, args.work / ("words.csv" if variant == "words" else "numbers.csv"), path)
            except No as error:
                said, found = "–", str(error)
            except Exception as error:
                traceback.print_exc()
                said, found = "–", f"the exporter fails: {str(error).strip().splitlines()[0][:150] if str(error).strip() else type(error).__name__}"
            print(f"{name}, {variant}: {said}; {found}", file=sys.stderr, flush=True)
            if said == "–" and found not in notes:
                notes.append(found)
            cells.append(said)
        lines.append(f"| {name} | {' | '.join(cells)} |")
    print(f"| exporter | {' | '.join(VARIANTS)} |\n| --- |{' --- |' * len(VARIANTS)}")
    print("\n".join([*lines, "", *(f"- –: {note}." for note in notes)]))


main()
