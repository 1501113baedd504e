"""Makes a world of services to train and try on: `python simulate.py --out world.csv --faults faults.csv`.

A few services at one-minute steps, six metrics each, that hang together as they do in real ones: work follows a daily wave
and a wandering share of it, the processor and the pool follow work, latency follows the processor, memory saws up and down.
Faults begin at random and last 20 to 90 minutes. All of it follows from --seed.
"""

import argparse
import csv

import numpy as np

MINUTES_A_DAY = 1440
START_S = 1_780_272_000  # Monday 2026-06-01 00:00 UTC
METRICS = [
    "requests_per_second",
    "latency_p99_seconds",
    "error_ratio",
    "cpu_usage_ratio",
    "memory_usage_bytes",
    "pool_used_ratio",
]
FAULTS = ["slow", "errors", "busy", "leak", "lost-traffic", "exhausted"]


def wander(random, minutes, pull, size):
    """Noise that remembers: each minute keeps 1 - pull of the one before."""
    out = np.empty(minutes)
    value = 0.0
    kicks = random.normal(0, size, minutes)
    for i in range(minutes):
        value += kicks[i] - pull * value
        out[i] = value
    return out


def service(random, minutes, faults):
    """Columns of METRICS, faults = [(from, to, kind)] worked in."""
    t = np.arange(minutes)
    phase = random.uniform(-0.6, 0.6)
    day = 0.5 + 0.5 * np.sin(2 * np.pi * t / MINUTES_A_DAY - np.pi / 2 + phase)
    busy = random.uniform(0.2, 0.5) + random.uniform(0.4, 0.8) * day + wander(random, minutes, 0.05, 0.012)
    busy = np.maximum(busy, 0.02)
    requests = random.uniform(30, 400) * busy * np.exp(random.normal(0, 0.04, minutes))
    load = busy * random.uniform(0.35, 0.6)
    slow = np.ones(minutes)
    errors = np.zeros(minutes)
    pool = np.zeros(minutes)
    leak = np.zeros(minutes)
    for start, end, kind in faults:
        span = slice(start, end)
        length = end - start
        strength = random.uniform(0.5, 1.5)
        if kind == "slow":
            slow[span] *= 1 + 2.5 * strength
            pool[span] += 0.25 * strength
        elif kind == "errors":
            errors[span] += 0.06 * strength * random.uniform(0.7, 1.3, length)
        elif kind == "busy":
            load[span] += 0.35 * strength
            slow[span] *= 1 + 0.8 * strength
        elif kind == "leak":
            leak[span] += np.linspace(0, 0.8 * strength, length)
        elif kind == "lost-traffic":
            requests[span] *= max(0.05, 0.45 - 0.3 * strength)
            load[span] *= 0.5
        else:
            pool[span] += 0.45 * strength
            slow[span] *= 1 + 0.6 * strength
            errors[span] += 0.02 * strength
    cpu = np.clip(load + random.normal(0, 0.02, minutes), 0.01, 1.0)
    base = random.uniform(0.03, 0.4)
    latency = base * (1 + 0.8 * cpu**2) * slow * np.exp(random.normal(0, 0.07, minutes))
    noise = random.gamma(1.2, 0.0012, minutes)
    ratio = np.clip(noise * (1 + cpu) + errors, 0, 1)
    period = random.integers(90, 300)
    heap = 0.45 + 0.15 * ((t + random.integers(0, period)) % period) / period + 0.08 * busy + leak
    memory = random.uniform(2e8, 4e9) * heap * np.exp(random.normal(0, 0.004, minutes))
    used = np.clip(0.1 + 0.5 * busy * slow**0.3 + pool + random.normal(0, 0.02, minutes), 0, 1)
    return [requests, latency, ratio, cpu, memory, used]


def plan(random, minutes, quiet_minutes, faults_a_day):
    """Faults of one service, none before `quiet_minutes`, an hour apart at least."""
    faults, at = [], quiet_minutes
    while faults_a_day > 0:
        at += int(60 + random.exponential(MINUTES_A_DAY / faults_a_day))
        length = int(random.integers(20, 90))
        if at + length >= minutes:
            break
        faults.append((at, at + length, FAULTS[random.integers(len(FAULTS))]))
        at += length
    return faults


def world(seed, services=3, days=2, quiet_days=0.5, faults_a_day=3):
    """[(entity, columns, faults)] of a seeded world; times are START_S + minute * 60."""
    random = np.random.default_rng(seed)
    minutes = int(days * MINUTES_A_DAY)
    out = []
    for i in range(services):
        faults = plan(random, minutes, int(quiet_days * MINUTES_A_DAY), faults_a_day)
        out.append((f"service-{i + 1}", service(random, minutes, faults), faults))
    return out


def write(services, path, faults_path=None):
    with open(path, "w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["timestamp", "entity", "metric", "value"])
        minutes = len(services[0][1][0])
        for t in range(minutes):
            for entity, columns, _ in services:
                for metric, column in zip(METRICS, columns, strict=True):
                    rows.writerow([START_S + 60 * t, entity, metric, f"{column[t]:.6g}"])
    if faults_path is None:
        return
    with open(faults_path, "w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["entity", "from", "to", "kind"])
        for entity, _, faults in services:
            for start, end, kind in faults:
                rows.writerow([entity, START_S + 60 * start, START_S + 60 * end, kind])


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--out", required=True)
    options.add_argument("--faults")
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--services", type=int, default=3)
    options.add_argument("--days", type=float, default=2)
    options.add_argument("--faults-a-day", type=float, default=3)
    given = options.parse_args()
    made = world(given.seed, given.services, given.days, faults_a_day=given.faults_a_day)
    write(made, given.out, given.faults)
