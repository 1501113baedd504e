// Computes docs/scale.md's tables from measured unit costs: `npx tsx scripts/scale.ts` prints them, `--write` puts them
// between the marks in docs/scale.md. test/deploy/scale.test.ts shows that the page says what this computes.
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/** What one of each costs, as measured; docs/results.md has the commands. Bytes and nanoseconds of CPU. */
export const UNITS = {
  gatewayNs: { value: 538, what: 'gateway: remote write → columnar message, a sample', unit: 'ns CPU' },
  /** The embedded path: read, windows, score, join, learn. A scorer reads columns instead, and joins too. */
  scorerNs: { value: 1531, what: 'scorer: a sample read, scored and learned from', unit: 'ns CPU' },
  writeNs: { value: 312, what: 'scorer: a row of a window report written', unit: 'ns CPU' },
  stageNs: { value: 270, what: 'disruption stage: a row of a window report read and joined', unit: 'ns CPU' },
  scorerBytes: { value: 1397, what: 'scorer: resident, a series', unit: 'B' },
  /** History (274), rows of the stage (26) and the JavaScript heap of a series (953): no detectors, no intake. */
  stageBytes: { value: 1253, what: 'disruption stage: resident, a series', unit: 'B' },
  sampleBytes: { value: 27, what: 'topic `samples`: a sample, before compression', unit: 'B' },
  reportBytes: { value: 32, what: 'topic `anomalies`: a row of a window report, lz4', unit: 'B' },
  checkpointBytes: {
    value: 468,
    what: 'Redis: a series in a checkpoint of a scorer, full shapes, compressed',
    unit: 'B',
  },
}

/** What a fleet is planned with. */
export const PLAN = {
  /** Seconds between two samples of a series, and length of a window. */
  stepS: 60,
  /** Share of a core that is used when all is well: the rest catches up and survives the loss of a machine. */
  usedShare: 0.5,
  /** Series of one partition: it must fit into a process beside others, and restore in a minute. */
  seriesPerPartition: 250_000,
  /** Memory of a process used for state. */
  processBytes: 6e9,
  replication: 3,
  samplesHours: 24,
  /** As the plan of the topic keeps them. */
  anomaliesHours: 72,
  /** The newest checkpoint, the one before and the one being written. */
  checkpointsHeld: 3,
  /** Cores of one gateway or scorer process: a process is one event loop. */
  coresPerProcess: 1,
}

const value = (name: keyof typeof UNITS): number => UNITS[name].value

/** Everything a fleet of so many series needs. */
export function fleetOf(series: number) {
  const samplesPerSecond = series / PLAN.stepS
  const cores = (ns: number): number => (samplesPerSecond * ns) / 1e9 / PLAN.usedShare
  const scorerCores = cores(value('scorerNs') + value('writeNs'))
  const scorerBytes = series * value('scorerBytes')
  const stageCores = cores(value('stageNs'))
  const stageBytes = series * value('stageBytes')
  return {
    series,
    samplesPerSecond,
    partitions: Math.max(12, Math.ceil(series / PLAN.seriesPerPartition)),
    gatewayCores: cores(value('gatewayNs')),
    scorerCores,
    scorerBytes,
    scorers: Math.max(
      2,
      Math.ceil(scorerCores / PLAN.coresPerProcess),
      Math.ceil(scorerBytes / PLAN.processBytes),
    ),
    stageCores,
    stageBytes,
    stages: Math.max(
      2,
      Math.ceil(stageCores / PLAN.coresPerProcess),
      Math.ceil(stageBytes / PLAN.processBytes),
    ),
    samplesBytesPerSecond: samplesPerSecond * value('sampleBytes'),
    anomaliesBytesPerSecond: samplesPerSecond * value('reportBytes'),
    kafkaBytes:
      3600 *
      PLAN.replication *
      samplesPerSecond *
      (PLAN.samplesHours * value('sampleBytes') + PLAN.anomaliesHours * value('reportBytes')),
    redisBytes: PLAN.checkpointsHeld * series * value('checkpointBytes'),
    checkpointBytesPerSecond: (series * value('checkpointBytes')) / 60,
    /** Of the largest tenant: its windows all go through one process. */
    largestTenant: Math.floor(
      Math.min(
        PLAN.processBytes / value('stageBytes'),
        (PLAN.coresPerProcess * PLAN.usedShare * 1e9 * PLAN.stepS) / value('stageNs'),
      ),
    ),
  }
}

const digits = (x: number): string =>
  x >= 100 || Number.isInteger(x)
    ? Math.round(x).toLocaleString('en-US')
    : x >= 10
      ? x.toFixed(0)
      : x.toFixed(1)
const bytes = (x: number): string => {
  const [size, name] =
    x >= 1e12 ? ([1e12, 'TB'] as const) : x >= 1e9 ? ([1e9, 'GB'] as const) : ([1e6, 'MB'] as const)
  return `${digits(x / size)} ${name}`
}
const millions = (x: number): string => (x >= 1e9 ? `${digits(x / 1e9)} G` : `${digits(x / 1e6)} M`)

type Fleet = ReturnType<typeof fleetOf>
const ROWS: readonly (readonly [string, (f: Fleet) => string])[] = [
  ['samples a second', f => millions(f.samplesPerSecond)],
  ['partitions of `samples`', f => digits(f.partitions)],
  ['gateway cores', f => digits(f.gatewayCores)],
  ['scorer cores', f => digits(f.scorerCores)],
  ['scorer memory', f => bytes(f.scorerBytes)],
  ['scorer processes', f => digits(f.scorers)],
  ['disruption stage cores', f => digits(f.stageCores)],
  ['disruption stage memory', f => bytes(f.stageBytes)],
  ['disruption stage processes', f => digits(f.stages)],
  ['Kafka in, `samples`', f => `${bytes(f.samplesBytesPerSecond)}/s`],
  ['Kafka in, `anomalies`', f => `${bytes(f.anomaliesBytesPerSecond)}/s`],
  ['Kafka disk, all copies', f => bytes(f.kafkaBytes)],
  ['Redis memory', f => bytes(f.redisBytes)],
  ['Redis in, checkpoints each minute', f => `${bytes(f.checkpointBytesPerSecond)}/s`],
]

export function tables(): string {
  const fleets = [10e6, 100e6, 1e9].map(fleetOf)
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`
  const units = Object.values(UNITS).map(({ value: cost, what, unit }) => line([what, `${cost} ${unit}`]))
  return [
    line(['unit', 'cost']),
    line(['---', '---:']),
    ...units,
    '',
    line(['', ...fleets.map(f => `${millions(f.series)} series`)]),
    line(['---', ...fleets.map(() => '---:')]),
    ...ROWS.map(([name, cell]) => line([name, ...fleets.map(cell)])),
    '',
    `The largest tenant that one disruption stage holds under these assumptions: ${millions(fleets[0].largestTenant)} series.`,
  ].join('\n')
}

export const MARKS = ['<!-- computed by scripts/scale.ts -->', '<!-- end of what is computed -->']

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  if (process.argv.includes('--write')) {
    const page = fileURLToPath(new URL('../docs/scale.md', import.meta.url))
    const text = readFileSync(page, 'utf8')
    const [from, to] = [text.indexOf(MARKS[0]) + MARKS[0].length, text.indexOf(MARKS[1])]
    writeFileSync(page, `${text.slice(0, from)}\n\n${tables()}\n\n${text.slice(to)}`)
  } else process.stdout.write(`${tables()}\n`)
}
