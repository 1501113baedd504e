"""Trains the combiner on the labelled history of the kpi set, and writes its package.

    foreshock evaluate kpi --data DATA --detector full --views VIEWS/full
    foreshock evaluate kpi --data DATA --detector tiny --views VIEWS/tiny
    python train.py --data DATA --views VIEWS --out 1

VIEWS is what the service itself saw of each loud window of kpi `train/`; kpi `test/` is never read, neither here nor
by that export. The model learns by how much the profile's evidence should be raised or lowered within a series: a
logistic model of the evidence with an intercept a series is fitted first, and trees are grown on what it leaves open.
Trees cannot use how often a series is labelled (its intercept has that), and at work the intercept is not needed,
because evidence is then set against the series' own usual day. Every choice is made by leaving series out, twins
(series whose labels overlap) together.
"""

import argparse
import gzip
import hashlib
import json
import pathlib
from types import SimpleNamespace

import lightgbm as lgb
import numpy as np
import onnx
import onnxruntime
from scipy.sparse import csr_matrix, hstack
from sklearn.linear_model import LogisticRegression

from scoring import against_usual_day, segments, table
from trees import OPSET, OPSET_ML, to_onnx

SEED = 7
FOLDS = 6
PROFILES = ("full", "tiny")
TWIN_OVERLAP = 0.3
# An anomaly's first windows decide whether it is found in time; the rest of it is hardly asked about.
ONSET_WINDOWS = 8
ONSET_WEIGHT, REST_WEIGHT = 4.0, 0.05
# Evidence of a window that is not strange at all.
EVIDENCE_FLOOR = 0.05
PARAMS = dict(
    objective="binary",
    learning_rate=0.05,
    min_data_in_leaf=200,
    feature_fraction=0.6,
    bagging_fraction=0.8,
    bagging_freq=1,
    lambda_l2=5,
    num_threads=1,
    deterministic=True,
    force_row_wise=True,
    seed=SEED,
    verbose=-1,
)
# What cross-validation chooses from: leaves a tree, trees, and how much of the correction is applied.
LEAVES = (4, 6, 10)
ROUNDS = (40, 100, 200)
SHARES = (0.5, 1.0)
# Differences of F1 below half a point say nothing with 710 anomalies.
NEAR = 0.005
# Stranger never means less anomalous; of the recent past nothing of the kind is known.
FREE = ("slot_envelope", "slot_surprise", "both_surprise", "off_level", "loudest", "mean")


def read_series(data, folder, name):
    with gzip.open(pathlib.Path(data) / "kpi" / "train" / name) as file:
        raw = np.genfromtxt(file, delimiter=",", skip_header=1)
    with gzip.open(folder / name, "rt") as file:
        columns = file.readline().strip().split(",")[2:]
        views = np.genfromtxt(file, delimiter=",")
    time, label = raw[:, 0], (raw[:, 2] > 0).astype(int)
    step = float(np.median(np.diff(time)[:20]))
    place = np.round((time - time[0]) / step).astype(int)
    grid = np.zeros(place[-1] + 1, dtype=int)
    grid[place[label > 0]] = 1
    starts, ends = segments(label)
    segment, position = -np.ones(len(time), dtype=int), np.zeros(len(time), dtype=int)
    for k, (start, end) in enumerate(zip(starts, ends)):
        segment[start : end + 1] = k
        position[start : end + 1] = np.arange(end - start + 1)
    row = views[:, 0].astype(int)
    series = SimpleNamespace(
        name=name, columns=columns, time=time, label=label, place=place, grid=grid, starts=starts, row=row,
        grid_segments=segments(grid), segment=segment[row], position=position[row], y=label[row],
        views=views[:, 2:].astype(np.float32), days=(time[-1] - time[0]) / 86_400,
    )
    series.evidence = evidence_of(series)
    series.weight = weights_of(series)
    return series


def evidence_of(series):
    """The profile's raw point evidence: of both views where there are rings, else of the slots."""
    both = series.views[:, series.columns.index("both_raw")]
    slot = series.views[:, series.columns.index("slot_raw")]
    return np.expm1(np.where(np.isnan(both), slot, both).astype(float)) + EVIDENCE_FLOOR


def weights_of(series):
    weight = np.ones(len(series.row))
    for k in np.unique(series.segment[series.segment >= 0]):
        own = series.segment == k
        onset = own & (series.position < ONSET_WINDOWS)
        weight[own] = REST_WEIGHT
        if onset.any():
            weight[onset] = ONSET_WEIGHT / onset.sum()
    # Noisy series have more loud windows; they are not more important by as much.
    return weight / np.sqrt(len(series.row) / 3000)


def groups_of(all_series):
    """The same number for twins."""
    labelled = [set(s.time[s.label > 0]) for s in all_series]
    group = list(range(len(all_series)))
    for i in range(len(group)):
        for j in range(i):
            union = len(labelled[i] | labelled[j])
            if union and len(labelled[i] & labelled[j]) / union > TWIN_OVERLAP:
                old, new = group[i], group[j]
                group = [new if g == old else g for g in group]
    return group


def folds_of(all_series, group):
    size = lambda g: -sum(len(s.row) for s, own in zip(all_series, group) if own == g)
    fold = {g: k % FOLDS for k, g in enumerate(sorted(set(group), key=size))}
    return [fold[g] for g in group]


def fit(training, columns, leaves, rounds):
    """The booster, and the weight of log evidence that it corrects."""
    x = np.vstack([s.views for s in training])
    y = np.concatenate([s.y for s in training])
    weight = np.concatenate([s.weight for s in training])
    log = np.log(np.concatenate([s.evidence for s in training]))
    which = np.repeat(np.arange(len(training)), [len(s.row) for s in training])
    dummies = csr_matrix((np.ones(len(y)), (np.arange(len(y)), which)))
    base = LogisticRegression(C=1e3, fit_intercept=False, max_iter=1000)
    design = hstack([csr_matrix(log[:, None]), dummies]).tocsr()
    base.fit(design, y, sample_weight=weight)
    monotone = [0 if name.startswith(FREE) else 1 for name in columns]
    params = {**PARAMS, "num_leaves": leaves, "monotone_constraints": monotone}
    data = lgb.Dataset(x, y, weight=weight, init_score=design @ base.coef_[0], feature_name=list(columns))
    return lgb.train(params, data, rounds), float(base.coef_[0, 0])


def cross_validate(by_profile, fold):
    """Tables by profile and choice, every series scored by a model that saw neither it nor a twin of it."""
    columns = by_profile["full"][0].columns
    results = {}
    for leaves in LEAVES:
        corrections = {(p, r): [None] * len(fold) for p in by_profile for r in ROUNDS}
        for k in range(FOLDS):
            training = [s for p in by_profile for s, f in zip(by_profile[p], fold) if f != k]
            booster, slope = fit(training, columns, leaves, max(ROUNDS))
            for p, own in by_profile.items():
                for i in [i for i, f in enumerate(fold) if f == k]:
                    for r in ROUNDS:
                        raw = booster.predict(own[i].views, raw_score=True, num_iteration=r)
                        corrections[p, r][i] = raw / slope
        for (p, r), found in corrections.items():
            for share in SHARES:
                scores = [combined(s, share * c) for s, c in zip(by_profile[p], found)]
                result = table(by_profile[p], scores)
                results[p, leaves, r, share] = result
                print(p, f"leaves {leaves} trees {r} share {share}", words(result), flush=True)
    return results


def combined(series, correction):
    return against_usual_day(series, series.evidence * np.exp(correction))


words = lambda result: " ".join(f"{key} {value:.3f}" for key, value in result.items())


def choose(results):
    """Of all choices within NEAR of the best mean of delay-7 and event F1 over both profiles, the fewest false alerts."""
    mean = lambda choice, keys: float(np.mean([results[p, *choice][key] for p in PROFILES for key in keys]))
    choices = sorted({key[1:] for key in results})
    f1 = {choice: mean(choice, ("delay_f1", "event_f1")) for choice in choices}
    near = [choice for choice in choices if f1[choice] >= max(f1.values()) - NEAR]
    return min(near, key=lambda choice: mean(choice, ("false_a_day_at_recall_8",)))


def golden_of(model, all_series):
    """Rows of every series, and rows that no series has, with what the model says of them."""
    rng = np.random.default_rng(SEED)
    rows = [s.views[rng.integers(0, len(s.row), 4)] for s in all_series]
    width = rows[0].shape[1]
    odd = [np.zeros((1, width)), np.full((1, width), np.nan), np.full((1, width), 50.0), np.full((1, width), -50.0)]
    inputs = np.vstack(rows + odd).astype(np.float32)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return inputs, session.run(None, {"views": inputs})[0], session


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", required=True)
    parser.add_argument("--views", required=True)
    parser.add_argument("--out", default="1")
    parser.add_argument("--results", default="results.json", help="tables of cross-validation: read if there, else written")
    args = parser.parse_args()
    views = pathlib.Path(args.views)
    names = sorted(path.name for path in (views / "full").glob("*.csv.gz"))
    by_profile = {p: [read_series(args.data, views / p, name) for name in names] for p in PROFILES}
    fold = folds_of(by_profile["full"], groups_of(by_profile["full"]))
    alone = {p: table(own, [combined(s, 0) for s in own]) for p, own in by_profile.items()}
    for p, result in alone.items():
        print(p, "alone", words(result), flush=True)
    kept = pathlib.Path(args.results)
    if kept.exists():
        results = {tuple(key): result for key, result in json.loads(kept.read_text())}
    else:
        results = cross_validate(by_profile, fold)
        kept.write_text(json.dumps(list(results.items()), indent=1))
    choice = choose(results)
    print("chosen: leaves, trees, share", choice)
    write(pathlib.Path(args.out), by_profile, choice, alone, results)


def write(out, by_profile, choice, alone, results):
    leaves, rounds, share = choice
    columns = by_profile["full"][0].columns
    everything = [s for own in by_profile.values() for s in own]
    booster, slope = fit(everything, columns, leaves, rounds)
    model = to_onnx(booster, len(columns), share / slope, "kpi-combiner")
    inputs, outputs, session = golden_of(model, everything)
    sample = np.vstack([s.views for s in everything])
    ours = session.run(None, {"views": sample})[0][:, 0]
    theirs = booster.predict(sample, raw_score=True) * share / slope
    worst = float(np.abs(ours - theirs).max())
    assert worst < 1e-5, f"ONNX and LightGBM differ by {worst}"
    out.mkdir(exist_ok=True)
    data = model.SerializeToString()
    (out / "model.onnx").write_bytes(data)
    rounded = lambda result: {key: round(value, 3) for key, value in result.items()}
    metrics = {"onnx against lightgbm, largest difference": float(f"{worst:.1e}")}
    for p in PROFILES:
        for key, value in rounded(alone[p]).items():
            metrics[f"{p} alone, train: {key}"] = value
        for key, value in rounded(results[p, leaves, rounds, share]).items():
            metrics[f"{p} with the model, series left out: {key}"] = value
    card = {
        "id": "kpi-combiner",
        "version": int(out.name),
        "title": "How much louder or quieter a window is than a profile's own evidence says",
        "task": "combiner",
        "input": {
            "name": "views",
            "width": len(columns),
            "features": columns,
            "normalisation": "ln(1 + |view|) of views in units of the series' own usual size, as combiner-views.ts makes"
            " them; the views of rings are NaN in profiles without rings",
        },
        "output": {"name": "log_factor", "width": 1, "meaning": "natural logarithm of the factor on point evidence"},
        "opsets": {"ai.onnx": OPSET, "ai.onnx.ml": OPSET_ML},
        "digest": "sha256:" + hashlib.sha256(data).hexdigest(),
        "training": {
            "data": ["kpi train/ (AIOps Challenge 2018), 19 series, their loud windows as full@1 and as tiny@1 see them"],
            "script": "models/kpi-combiner/train.py",
            "command": "python train.py --data DATA --views VIEWS --out 1",
            "seed": SEED,
            "cost": f"{sum(len(s.row) for s in everything)} rows, {rounds} trees of {leaves} leaves; minutes on one core",
            "repeatable": "the same digest with the same requirements.txt on the same kind of processor",
        },
        "metrics": metrics,
        "licence": "Apache-2.0",
        "budget": {"msPer256Rows": 5, "megabytes": 64},
    }
    (out / "card.json").write_text(json.dumps(card, indent=2) + "\n")
    cells = lambda rows: [[None if np.isnan(v) else float(v) for v in row] for row in rows]
    (out / "golden.json").write_text(json.dumps({"inputs": cells(inputs), "outputs": cells(outputs)}) + "\n")
    print(f"{len(data)} bytes, {card['digest']}, differs from LightGBM by {worst:.1e} at most")
    gain = sorted(zip(booster.feature_importance("gain"), columns), reverse=True)
    print("gain:", ", ".join(f"{name} {value:.0f}" for value, name in gain[:12]))


if __name__ == "__main__":
    main()
