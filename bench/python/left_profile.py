"""stumpy's incremental matrix profile (STAMPI, with egress) over a stream: a value in, the left neighbour of the newest stretch out.

Arguments: file of float64 (little endian), length of a stretch, values held, values timed. The first values fill it.
Prints CPU nanoseconds a value, then the left distance of each value timed, as lines.
"""
import array
import os
import sys
import time

# One core, as ours.
for name in ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[name] = "1"

import numpy as np
import stumpy

path, length, held, timed = sys.argv[1], *map(int, sys.argv[2:5])
numbers = array.array("d")
with open(path, "rb") as file:
    numbers.frombytes(file.read())
values = np.array(numbers)
# Compiled before any is counted.
warm = stumpy.stumpi(values[: 4 * length + 16], length, egress=True)
warm.update(values[0])
stream = stumpy.stumpi(values[:held], length, egress=True)
distances = []
spent = 0
for value in values[held : held + timed]:
    start = time.process_time_ns()
    stream.update(value)
    spent += time.process_time_ns() - start
    distances.append(float(stream.left_P_[-1]))
print("ns", spent // timed)
print("\n".join(map(repr, distances)))
