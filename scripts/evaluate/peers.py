"""PyOD's detectors on the rows that the guard is measured on, in the same run.

Categories are one-hot over what the training rows have, then all columns are standardised: PyOD
leaves both to its caller. Its AutoEncoder needs torch; here the same network is built with Keras
(64, 32, 64 with batch norm, ReLU, dropout .2; Adam 1e-3, weight decay 1e-5, ten epochs of batches of
32, as in pyod 3.6.7 models/auto_encoder.py), and is named so.
"""

import os

os.environ.setdefault("KERAS_BACKEND", "jax")
for threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(threads, "1")

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

SYMBOLIC = ("protocol_type", "service", "flag")
NAMES = ("PyOD IForest", "PyOD KNN", "PyOD's AutoEncoder, in Keras")


def scores(name, seed, train, tests):
    """Scores of each of `tests` by a detector fitted on `train`, all `[n, d]`."""
    if name == "PyOD IForest":
        from pyod.models.iforest import IForest

        model = IForest(random_state=seed).fit(train)
        return [model.decision_function(test) for test in tests]
    if name == "PyOD KNN":
        from pyod.models.knn import KNN

        model = KNN().fit(train)
        return [model.decision_function(test) for test in tests]
    return autoencoder(seed, train, tests)


def autoencoder(seed, train, tests):
    """Distance between a row and its reconstruction."""
    import keras

    keras.utils.set_random_seed(seed)
    d = train.shape[1]
    hidden = (64, 32, 64)
    layers = [keras.layers.Input((d,))]
    for width in hidden:
        layers += [
            keras.layers.Dense(width, kernel_initializer="he_uniform", kernel_regularizer=keras.regularizers.L2(5e-6)),
            keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5),
            keras.layers.ReLU(),
            keras.layers.Dropout(0.2),
        ]
    network = keras.Sequential([*layers, keras.layers.Dense(d)])
    network.compile(keras.optimizers.Adam(1e-3), loss="mse")
    network.fit(train, train, batch_size=32, epochs=10, shuffle=True, verbose=0)
    return [np.linalg.norm(test - network.predict(test, batch_size=1024, verbose=0), axis=1) for test in tests]


def prepared(header, groups):
    """The rows of each group as numbers, scaled by those of `train`."""
    tables = {kind: np.array(rows, dtype=object) for kind, rows in groups.items()}
    symbolic = [header.index(name) for name in SYMBOLIC]
    numeric = [at for at in range(len(header)) if at not in symbolic]
    one_hot = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    columns = ColumnTransformer([("words", one_hot, symbolic), ("numbers", "passthrough", numeric)])
    scaled = make_pipeline(columns, StandardScaler()).fit(tables["train"])
    return {kind: scaled.transform(rows).astype(np.float32) for kind, rows in tables.items()}


def measured(clean, attacks):
    """As `tripline evaluate` measures: a threshold that at most so many clean rows exceed."""
    truth = np.r_[np.zeros(len(clean)), np.ones(len(attacks))]
    both = np.r_[clean, attacks]
    ranked = np.sort(clean)[::-1]

    def tpr(share):
        return float((attacks > ranked[int(share * len(clean))]).mean())

    return {
        "n": len(attacks),
        "auroc": float(roc_auc_score(truth, both)),
        "ap": float(average_precision_score(truth, both)),
        "tpr_at_1pct": tpr(0.01),
        "tpr_at_01pct": tpr(0.001),
    }
