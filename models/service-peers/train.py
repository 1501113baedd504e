"""Trains service-peers: each of six kinds of metrics of one service, told from the other five and from its own past.

Learns from simulated services without faults (notebooks/simulate.py), is measured on worlds with faults that it never saw, beside
what the shipped detectors say of the very same windows.

    python train.py --out 1 --foreshock "npx foreshock"
"""

import argparse
import os
import shlex
import subprocess
import sys
import tempfile
import time

import numpy as np
from sklearn.metrics import average_precision_score
from sklearn.neural_network import MLPRegressor

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "notebooks"))
import simulate  # noqa: E402
from fslib import inputs, packages, windows  # noqa: E402

SEED = 29
LENGTH = 8
STEP_MS = 60_000
NORMALISATION = {"by": "running", "days": 1}
HIDDEN = 24
ROUNDS = 15
TRAINED_SEEDS = range(100, 130)
TESTED_SEEDS = range(1, 5)
DAYS = 3
# A service is looked at after a day, when means are those of all hours.
LEARNED_AFTER = 1440
KIND_OF = dict(zip(simulate.METRICS, ["traffic", "latency", "error", "cpu", "memory", "saturation"], strict=True))


def rows_of(columns):
    by_kind = {KIND_OF[metric]: values for metric, values in zip(simulate.METRICS, columns, strict=True)}
    rows, _ = inputs.entity_inputs([by_kind[kind] for kind in windows.KINDS], LENGTH, NORMALISATION, STEP_MS)
    return rows[LEARNED_AFTER:]


def newest(slot):
    return slot * LENGTH + LENGTH - 1


def peer(rows, slot):
    """The newest value of one metric from all else."""
    net = MLPRegressor(
        hidden_layer_sizes=(HIDDEN,),
        activation="tanh",
        batch_size=512,
        max_iter=ROUNDS,
        tol=0,
        n_iter_no_change=ROUNDS,
        random_state=SEED + slot,
    )
    return net.fit(np.delete(rows, newest(slot), axis=1), rows[:, newest(slot)])


def joined(nets):
    """All nets as one graph. Their hidden units lie side by side; past values come back as they are."""
    wide, count = len(windows.KINDS) * LENGTH, len(nets)
    first = np.zeros((wide, HIDDEN * count), np.float32)
    second = np.zeros((HIDDEN * count, wide), np.float32)
    bias = np.zeros(HIDDEN * count, np.float32)
    last = np.zeros(wide, np.float32)
    past = np.ones(wide, np.float32)
    for slot, net in enumerate(nets):
        own = slice(slot * HIDDEN, (slot + 1) * HIDDEN)
        first[np.delete(np.arange(wide), newest(slot)), own] = net.coefs_[0]
        bias[own] = net.intercepts_[0]
        second[own, newest(slot)] = net.coefs_[1][:, 0]
        last[newest(slot)] = net.intercepts_[1][0]
        past[newest(slot)] = 0
    return packages.mlp_onnx([(first, bias, "Tanh"), (second, last, None)], "service_peers", keep=past)


def error_of(model, rows):
    """How far each newest value lies off, over what is usual of that metric in this service so far; the largest of the metrics."""
    error = np.abs((packages.run(model, rows) - rows).reshape(len(rows), len(windows.KINDS), LENGTH)[:, :, -1])
    rate = 1 / LEARNED_AFTER
    usual = np.empty_like(error)
    now = error[:60].mean(axis=0)
    for i, row in enumerate(error):
        usual[i] = now
        now = now + rate * (np.minimum(row, 8 * now) - now)
    return (error / usual).max(axis=1)


def measure(model, foreshock):
    """Average precision against the faults that were simulated: the model's and the shipped detectors'."""
    ours, theirs, together = [], [], []
    for seed in TESTED_SEEDS:
        world = simulate.world(seed, services=3, days=DAYS, quiet_days=1.1, faults_a_day=4)
        with tempfile.TemporaryDirectory() as folder:
            simulate.write(world, os.path.join(folder, "world.csv"))
            loudest = {profile: exported(foreshock, folder, profile) for profile in ("none", "auto")}
        for entity, columns, faults in world:
            truth = np.zeros(len(columns[0]), bool)
            for start, end, _ in faults:
                truth[start:end] = True
            truth = truth[LENGTH - 1 :][LEARNED_AFTER:]
            ours.append(average_precision_score(truth, error_of(model, rows_of(columns))))
            for profile, out in (("none", theirs), ("auto", together)):
                said = loudest[profile][entity].to_numpy()[-len(truth) :]
                out.append(average_precision_score(truth, np.nan_to_num(said)))
    return float(np.mean(ours)), float(np.mean(theirs)), float(np.mean(together))


def exported(foreshock, folder, profile):
    """Loudest surprise by entity and window, of the shipped detectors without or with the one of several metrics."""
    out = os.path.join(folder, f"{profile}.parquet")
    subprocess.run(
        [*shlex.split(foreshock), "windows", "export", "--input", os.path.join(folder, "world.csv"), "--out", out],
        env={**os.environ, "FORESHOCK_DETECTION_MULTIVARIATE_PROFILE": profile},
        check=True,
    )
    return windows.load(out).groupby(["entity", "time"]).surprise.max()


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--out", required=True)
    options.add_argument("--foreshock", default="npx foreshock")
    given = options.parse_args()
    started = time.process_time()
    rows = np.concatenate(
        [
            rows_of(columns)
            for seed in TRAINED_SEEDS
            for _, columns, _ in simulate.world(seed, services=3, days=DAYS, faults_a_day=0)
        ]
    )
    learned = np.clip(rows[:: max(1, len(rows) // 120_000)], -5, 5)
    nets = [peer(learned, slot) for slot in range(len(windows.KINDS))]
    model = joined(nets)
    cost = f"{len(learned)} rows, {ROUNDS} rounds, {sum(w.size for net in nets for w in net.coefs_)} weights; {time.process_time() - started:.0f} s of one core"
    print(cost)
    ours, theirs, together = measure(model, given.foreshock)
    print(f"average precision on worlds never seen: {ours:.3f}; loudest surprise of the shipped detectors: {theirs:.3f}, with multivariate: {together:.3f}")
    packages.write_onnx(
        given.out,
        {
            "id": "service-peers",
            "version": 1,
            "title": "Each of six kinds of metrics of one service, told from the other five and from its own past",
            "task": "reconstruction",
            "input": {
                "window": {"of": "entity", "length": LENGTH, "metrics": [f"kind:{kind}" for kind in windows.KINDS]},
                "normalisation": NORMALISATION,
            },
            "output": {"meaning": "the input again; the newest value of each metric as all else leads one to expect it"},
            "scope": windows.KINDS,
            "stepMs": STEP_MS,
            "training": {
                "data": [f"simulated services of notebooks/simulate.py without faults, seeds {TRAINED_SEEDS[0]} to {TRAINED_SEEDS[-1]}"],
                "script": "models/service-peers/train.py",
                "command": 'python train.py --out 1 --foreshock "npx foreshock"',
                "seed": SEED,
                "cost": cost,
                "repeatable": "the same digest with the same requirements.txt on the same kind of processor",
            },
            "metrics": {
                "average precision on simulated worlds never seen": round(ours, 3),
                "the same of the shipped detectors' loudest surprise of the service": round(theirs, 3),
                "the same with detection.multivariate (ridge@1)": round(together, 3),
            },
            "licence": "Apache-2.0",
            "example": True,
            "budget": {"msPer256Rows": 10, "megabytes": 64},
        },
        model,
        rows[np.linspace(0, len(rows) - 1, 48).astype(int)],
    )


if __name__ == "__main__":
    main()
