// The start of a thread that takes up the first turn it is asked for and never ends it.
import { workerData } from 'node:worker_threads'
import { ASKED, openMemory } from '../../src/shards/memory.ts'

const { control } = openMemory(workerData.data.memory)
Atomics.wait(control, ASKED, 0)
for (;;);
