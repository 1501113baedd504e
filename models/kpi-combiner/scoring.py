"""Counts of alerts against labels, as `foreshock evaluate kpi` makes them, and the usual-day division of day-maxima.ts."""

import numpy as np

REFRACTORY_S = 300
DELAY = 7
DAYS_KEPT = 28
DAY_S = 86_400
# Evidence is multiplicative, so are the thresholds.
THRESHOLDS = 0.02 * 1.06 ** np.arange(110)
PLATEAU = 0.98


def segments(label):
    """First and last row of each run of ones."""
    edge = np.diff(np.r_[0, label, 0])
    return np.where(edge == 1)[0], np.where(edge == -1)[0] - 1


def against_usual_day(series, raw):
    """Raw evidence of the loud rows over the median of the last 28 daily maxima, looking only backwards."""
    day = ((series.time[series.row] - series.time[0]) // DAY_S).astype(int)
    out = np.empty_like(raw)
    maxima, current, largest, usual = {}, 0, 0.0, 0.0
    for i, (d, value) in enumerate(zip(day, raw)):
        if d > current:
            if current > 0 and largest > 0:
                maxima[current % DAYS_KEPT] = largest
                known = sorted(maxima.values())
                usual = known[(len(known) - 1) // 2]
            current, largest = d, 0.0
        out[i] = 2 * value / (1 + (usual if usual > 0 else 1.5))
        largest = max(largest, value)
    return out


def counts(series, score, threshold):
    """segments, found, alerts, false alerts; true positive, false positive and false negative points at delay 7."""
    loud = np.where(score >= threshold)[0]
    alerts, last = [], -np.inf
    for i, time in zip(loud, series.time[series.row[loud]]):
        if time - last >= REFRACTORY_S:
            alerts.append(i)
            last = time
    alerts = np.array(alerts, dtype=int)
    hit = series.segment[alerts]
    predicted = np.zeros(len(series.grid), dtype=bool)
    predicted[series.place[series.row[alerts]]] = True
    found = missed = 0
    for start, end in zip(*series.grid_segments):
        if predicted[start : min(end, start + DELAY) + 1].any():
            found += end - start + 1
        else:
            missed += end - start + 1
    false_points = int((predicted & (series.grid == 0)).sum())
    own = [len(series.starts), len(set(hit[hit >= 0])), len(alerts), int((hit < 0).sum())]
    return np.array(own + [found, false_points, missed], dtype=float)


def plateau(values):
    """The middle of all thresholds within 2 % of the best, as `evaluate` takes its thresholds from train."""
    return int(round(np.where(values >= PLATEAU * values.max())[0].mean()))


def table(all_series, scores):
    """Delay-7 F1 and event F1 at the middle of their plateaus; false alerts a series-day at event recall .7 and .8."""
    days = sum(s.days for s in all_series)
    found = np.array([sum(counts(s, v, t) for s, v in zip(all_series, scores)) for t in THRESHOLDS])
    recall = found[:, 1] / found[:, 0]
    precision = (found[:, 2] - found[:, 3]) / np.maximum(found[:, 2], 1)
    event = 2 * recall * precision / np.maximum(recall + precision, 1e-9)
    delay = 2 * found[:, 4] / (2 * found[:, 4] + found[:, 5] + found[:, 6])
    false_at = lambda wanted: float(found[np.where(recall >= wanted)[0].max(), 3] / days)
    return {
        "delay_f1": float(delay[plateau(delay)]),
        "event_f1": float(event[plateau(event)]),
        "false_a_day_at_recall_7": false_at(0.7),
        "false_a_day_at_recall_8": false_at(0.8),
    }
