// How the test files of a run are divided and ordered, so that two cores are busy from its first second to its last. What waits
// for wall-clock time (a fleet that has to live for a minute, a broker that has to come back) begins first, and what only
// computes runs beside it; files that only compute share their process, which saves its start and the loading of the program
// for each of them.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

const FOLDER = import.meta.dirname

/** Rooms whose tests compute in their own process, most of them. */
const COMPUTING = [
  'bus',
  'commands',
  'config',
  'core',
  'detectors',
  'disruptions',
  'evaluate',
  'experiments',
  'features',
  'ingest',
  'kernels',
  'math',
  'publish',
  'roles',
  'serve',
  'store',
]

/**
 * What a file says that must have its process to itself: it starts others or threads, changes what a whole process shares
 * (clocks, the environment, signals), measures the process, or runs models, whose engines are set up once a process.
 */
const OWN_PROCESS =
  /\bvi\.|process\.(env|on|once|chdir|memoryUsage)\b|child_process|worker_threads|\/peers\/|\/e2e\/|\bmodels?[-/]|onnx|tfjs/i

function computes(file: string): boolean {
  return !OWN_PROCESS.test(readFileSync(file, 'utf8'))
}

/** Paths from the root of the files that share processes. */
export function together(): string[] {
  return COMPUTING.flatMap(room =>
    readdirSync(join(FOLDER, room), { recursive: true, encoding: 'utf8' })
      .filter(name => name.endsWith('.test.ts') && computes(join(FOLDER, room, name)))
      .map(name => `test/${room}/${name.replaceAll('\\', '/')}`),
  ).sort()
}

/** Files that live by the clock, longest first: they begin when the run does, and go before what runs beside them. */
export const WAITING = [
  'test/lab/fleet.test.ts',
  'test/lab/lab.test.ts',
  'test/e2e/prometheus.test.ts',
  'test/model-swap.test.ts',
]

/** Other files of a dozen seconds and more, longest first: none of them may be left alone at the end. */
export const LONG = [
  'test/cluster/faults.test.ts',
  'test/cluster/models.test.ts',
  'test/e2e/cli.test.ts',
  'test/readme.test.ts',
  'test/cluster/engines.test.ts',
  'test/e2e/hostile.test.ts',
  'test/e2e/pack.test.ts',
  'test/deploy/image.test.ts',
  'test/bus/kafka-failures.test.ts',
  'test/cluster/models-memory.test.ts',
  'test/shards/sharded-scoring.test.ts',
  'test/batches.test.ts',
  'test/e2e/warm-up.test.ts',
  'test/detectors/model-host.test.ts',
  'test/e2e/models.test.ts',
  'test/detectors/bad-models.test.ts',
  'test/notebooks/notebooks.test.ts',
  'test/e2e/experiments.test.ts',
  'test/cluster/scorer.test.ts',
  'test/e2e/alertmanager.test.ts',
  'test/cluster/gateway.test.ts',
  'test/heap.test.ts',
  'test/e2e/reconfigure.test.ts',
]

/** Whether what a file sees depends on how soon it gets a CPU. */
export function livesByTheClock(path: string): boolean {
  return WAITING.includes(path)
}

/** Where a file stands: waiting ones, those that share processes, long ones, others; then its place among its like. */
export function placeOf(path: string, sharesProcess: boolean, bytes: number): readonly [number, number] {
  const waiting = WAITING.indexOf(path)
  if (waiting >= 0) return [0, waiting]
  if (sharesProcess) return [1, -bytes]
  const long = LONG.indexOf(path)
  return long >= 0 ? [2, long] : [3, -bytes]
}
