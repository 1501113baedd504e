"""Trains shape-scorer: how strange the newest of 120 windows of any series looks, from their shape alone.

Learns from labelled history (kpi `train/`), and from series that are taken to be ordinary (smd and asd `train/`, jumpstarter
`train/`, simulated worlds) into whose windows anomalies of seven shapes are drawn. Nothing of any test part is read.

    python train.py --data DATA --out 1
"""

import argparse
import glob
import os
import sys
import time

import numpy as np
import pandas as pd
from sklearn.metrics import average_precision_score
from sklearn.neural_network import MLPClassifier

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "notebooks"))
import simulate  # noqa: E402
from fslib import inputs, packages  # noqa: E402

SEED = 23
LENGTH = 120
NORMALISATION = {"by": "window"}
HIDDEN = (96, 48)
ROUNDS = 14
# Windows drawn of each series: ordinary ones, and as many again to draw anomalies into.
KPI_ORDINARY = 4000
ELSEWHERE = 160
SHAPES = ["spike", "dip", "burst", "shift", "drift", "noise", "freeze"]


def kpi(folder):
    """[(values, labels)] on a whole grid, NaN where rows are missing."""
    out = []
    for path in sorted(glob.glob(os.path.join(folder, "kpi", "train", "*.csv.gz"))):
        table = pd.read_csv(path)
        step = int(table.timestamp.diff().median())
        place = ((table.timestamp - table.timestamp.iloc[0]) // step).to_numpy()
        values = np.full(place[-1] + 1, np.nan)
        labels = np.zeros(place[-1] + 1, np.int8)
        values[place] = table.value
        labels[place] = table.label
        out.append((values, labels))
    return out


def ordinary(folder):
    """Columns of the unlabelled training parts, and of simulated worlds without faults."""
    out = []
    for pattern in ("smd/train/*.csv.gz", "asd/train/*.csv.gz", "jumpstarter/Dataset2/train/*.csv.gz"):
        for path in sorted(glob.glob(os.path.join(folder, pattern))):
            table = pd.read_csv(path, header=None).to_numpy(np.float64)
            out.extend(table.T)
    for seed in range(8):
        for _, columns, _ in simulate.world(1000 + seed, services=3, days=3, faults_a_day=0):
            out.extend(columns)
    return [values for values in out if np.ptp(values[np.isfinite(values)]) > 0]


def drawn(random, rows):
    """Rows of windows with an anomaly drawn into the end of each, sized by what is usual in that window."""
    rows = rows.copy()
    spread = np.maximum(1.4826 * np.median(np.abs(rows - np.median(rows, axis=1)[:, None]), axis=1), 1e-3 * np.abs(np.median(rows, axis=1)) + 1e-9)
    jumps = np.abs(np.diff(rows, axis=1)).mean(axis=1)
    size = np.maximum(spread, jumps)
    for i in range(len(rows)):
        shape = SHAPES[random.integers(len(SHAPES))]
        sign = 1 if random.random() < 0.5 else -1
        strength = sign * size[i] * np.exp(random.uniform(np.log(2.5), np.log(30)))
        k = int(random.integers(1, 6))
        long = int(random.integers(3, 40))
        if shape == "spike":
            rows[i, -1] += strength
        elif shape == "dip":
            rows[i, -k:] += strength * np.hanning(2 * k + 1)[1 : k + 1]
        elif shape == "burst":
            rows[i, -k:] += strength * random.uniform(0.5, 1, k)
        elif shape == "shift":
            rows[i, -long:] += strength
        elif shape == "drift":
            rows[i, -long:] += strength * np.linspace(0, 1, long)
        elif shape == "noise":
            rows[i, -long:] += abs(strength) * 0.6 * random.normal(0, 1, long)
        else:
            # A frozen series is strange only where it is never still.
            if np.median(np.abs(np.diff(rows[i]))) > 0:
                rows[i, -max(long, 12) :] = rows[i, -max(long, 12)]
            else:
                rows[i, -1] += strength
    return rows


def examples(random, series, count):
    """Windows of a series without gaps at the end, `count` at most, drawn at random."""
    if len(series) <= LENGTH:
        return np.empty((0, LENGTH))
    rows = inputs.windows(series, LENGTH)
    picked = rows[random.integers(0, len(rows), count)]
    return picked[np.isfinite(picked).all(axis=1)]


def of_kpi(random, values, labels):
    """Rows and labels of one labelled series: all its strange windows, some ordinary ones, some with anomalies drawn in."""
    rows = inputs.windows(values, LENGTH)
    newest = labels[LENGTH - 1 :]
    whole = np.isfinite(rows).all(axis=1)
    strange = np.flatnonzero(whole & (newest == 1))
    if len(strange) > 3000:
        strange = random.choice(strange, 3000, replace=False)
    quiet = np.flatnonzero(whole & (newest == 0))
    quiet = random.choice(quiet, min(KPI_ORDINARY, len(quiet)), replace=False)
    fake = drawn(random, rows[quiet[: KPI_ORDINARY // 8]])
    found = np.concatenate([rows[strange], rows[quiet], fake])
    truth = np.concatenate([np.ones(len(strange)), np.zeros(len(quiet)), np.ones(len(fake))])
    return found, truth


def units(rows):
    z = inputs.normalised(rows, NORMALISATION)
    return np.nan_to_num(z, nan=0.0).astype(np.float32)


def squashed(rows):
    """As the first operator of the ONNX graph does it."""
    return np.arcsinh(rows)


def fit(rows, truth):
    net = MLPClassifier(
        hidden_layer_sizes=HIDDEN,
        activation="relu",
        alpha=1e-4,
        batch_size=512,
        learning_rate_init=1e-3,
        max_iter=ROUNDS,
        random_state=SEED,
    )
    with np.errstate(all="ignore"):
        net.fit(squashed(rows), truth)
    return net


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--data", required=True)
    options.add_argument("--out", required=True)
    given = options.parse_args()
    started = time.process_time()
    random = np.random.default_rng(SEED)

    labelled = [of_kpi(random, *series) for series in kpi(given.data)]
    others = []
    for series in ordinary(given.data):
        rows = examples(random, series, ELSEWHERE)
        half = len(rows) // 2
        others.append((np.concatenate([rows[:half], drawn(random, rows[half:])]), np.repeat([0.0, 1.0], [half, len(rows) - half])))
    shared = [np.concatenate(part) for part in zip(*others, strict=True)]
    shared[0] = units(shared[0])
    labelled = [(units(rows), truth) for rows, truth in labelled]

    # Every third labelled series is left out once: does it carry over to series it never saw?
    ours, plain = [], []
    kept = [i for i in range(len(labelled)) if i % 3 != 1]
    net = fit(
        np.concatenate([shared[0], *(labelled[i][0] for i in kept)]),
        np.concatenate([shared[1], *(labelled[i][1] for i in kept)]),
    )
    for i in range(len(labelled)):
        rows, truth = labelled[i]
        if i % 3 != 1:
            continue
        ours.append(average_precision_score(truth, net.predict_proba(squashed(rows))[:, 1]))
        plain.append(average_precision_score(truth, np.abs(rows[:, -1])))
    print(f"average precision, series left out: {np.mean(ours):.3f}; distance from the median alone: {np.mean(plain):.3f}")

    rows = np.concatenate([shared[0], *(rows for rows, _ in labelled)])
    truth = np.concatenate([shared[1], *(truth for _, truth in labelled)])
    net = fit(rows, truth)
    model = packages.mlp_onnx(packages.layers_of(net), "shape_scorer", squash=True)
    cost = f"{len(rows)} windows, {ROUNDS} rounds, {sum(w.size for w in net.coefs_)} weights; {time.process_time() - started:.0f} s of one core"
    packages.write_onnx(
        given.out,
        {
            "id": "shape-scorer",
            "version": 1,
            "title": "How strange the newest of 120 windows of any series looks, from their shape alone",
            "task": "score",
            "input": {"window": {"of": "series", "length": LENGTH}, "normalisation": NORMALISATION},
            "output": {"meaning": "log-odds that the newest window is anomalous, on training's share of anomalies"},
            "training": {
                "data": [
                    "kpi train/ (AIOps Challenge 2018), 19 series with their labels",
                    "smd, asd and jumpstarter train/, taken to be ordinary, half of their windows with an anomaly drawn in",
                    "simulated worlds of notebooks/simulate.py, seeds 1000 to 1007, the same",
                ],
                "script": "models/shape-scorer/train.py",
                "command": "python train.py --data DATA --out 1",
                "seed": SEED,
                "cost": cost,
                "repeatable": "the same digest with the same requirements.txt on the same kind of processor",
            },
            "metrics": {
                "average precision, labelled series left out": round(float(np.mean(ours)), 3),
                "the same of the distance from the window's median alone": round(float(np.mean(plain)), 3),
            },
            "licence": "Apache-2.0",
            "example": True,
            "budget": {"msPer256Rows": 10, "megabytes": 64},
        },
        model,
        rows[np.linspace(0, len(rows) - 1, 48).astype(int)],
    )
    print(cost)


if __name__ == "__main__":
    main()
