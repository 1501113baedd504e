// The start of a thread that takes up the first turn it is asked for and never ends it. Plain JavaScript: it is loaded from source
// and beside a build.
import { workerData } from 'node:worker_threads'

/** ASKED of src/shards/memory.ts: how many turns were asked for is the first word. */
const ASKED = 0
const control = new Int32Array(workerData.data.memory.shared)
Atomics.wait(control, ASKED, 0)
for (;;);
