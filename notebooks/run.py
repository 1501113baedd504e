"""Runs notebooks top to bottom, as the test suite does: `python run.py NOTEBOOK...`. Stops at the first cell that fails."""

import sys
import time

import nbformat
from nbclient import NotebookClient

for path in sys.argv[1:]:
    started = time.perf_counter()
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
    print(f"== {path}: {time.perf_counter() - started:.1f} s")
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            text = output.get("text") or output.get("data", {}).get("text/plain", "")
            print(text.rstrip())
