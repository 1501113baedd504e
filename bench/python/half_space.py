"""river's half-space trees over a stream of points in 0..1: score, then learn, a dict a point as its API wants it.

Arguments: file of float64 (little endian, points x dimensions), dimensions, trees, height, window, passes, seed.
Prints CPU nanoseconds a point of each pass, then the scores of the last pass, as lines.
"""
import array
import sys
import time

from river import anomaly

path, dimensions, trees, height, window, passes, seed = sys.argv[1], *map(int, sys.argv[2:8])
numbers = array.array("d")
with open(path, "rb") as file:
    numbers.frombytes(file.read())
points = [
    {str(d): numbers[i + d] for d in range(dimensions)} for i in range(0, len(numbers), dimensions)
]
scores = []
for _ in range(passes):
    forest = anomaly.HalfSpaceTrees(n_trees=trees, height=height, window_size=window, seed=seed)
    scores = []
    start = time.process_time_ns()
    for point in points:
        scores.append(forest.score_one(point))
        forest.learn_one(point)
    print("ns", (time.process_time_ns() - start) // len(points))
print("\n".join(map(repr, scores)))
