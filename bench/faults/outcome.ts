// What a fleet left behind in its topics, read as an outsider would: every telling of every window, every event, every
// line of the record. `compared` holds it against what the same input gave when nothing was done to the fleet.
import { WindowReader } from '../../src/bus/window-report-reader.ts'
import { sha256 } from '../../src/core/identity.ts'
import { SeriesTable } from '../../src/core/series.ts'
import { CONTENT, HEADERS, type StoredMessage, type Streams, TOPICS } from '../../src/core/stream.ts'
import { FIRST_PREV, parseLine } from '../../src/store/record-line.ts'

/** Contents told under one name, in the order told; more than one only where the same is told again. */
type Tellings = Map<string, string[]>

export interface Outcome {
  /** Windows by `<anomalies partition>:<samples partition>/<end>`: digests of rows and changes. */
  readonly windows: Tellings
  /** Events of disruptions by id: digests of all that is told, and of what does not depend on the deployment. */
  readonly events: Tellings
  readonly essence: ReadonlyMap<string, string>
  /** Lines of the record by id. */
  readonly lines: Tellings
  /** Where the chain of a partition of the record does not hold. */
  readonly breaks: readonly string[]
  readonly deadLetters: readonly StoredMessage[]
}

export async function outcomeOf(streams: Streams): Promise<Outcome> {
  const windows: Tellings = new Map()
  const events: Tellings = new Map()
  const essence = new Map<string, string>()
  const lines: Tellings = new Map()
  const breaks: string[] = []
  const deadLetters: StoredMessage[] = []
  for (let q = 0; q < (await streams.partitions(TOPICS.anomalies)); q++) {
    const tell = windowTeller(q, windows)
    for await (const message of streams.read(TOPICS.anomalies, q, 0)) tell(message)
  }
  for await (const { headers, value } of all(streams, TOPICS.disruptions)) {
    const body = JSON.parse(text(value)) as Record<string, unknown>
    add(events, headers.ce_id, sha256(`${headers.ce_type} ${text(value)}`))
    // The configuration's digest and addresses are of one deployment.
    const { replay: _replay, links: _links, ...rest } = body
    essence.set(headers.ce_id, `${headers.ce_type} ${JSON.stringify(rest)}`)
  }
  for (let q = 0; q < (await streams.partitions(TOPICS.record)); q++) {
    let prev = FIRST_PREV
    for await (const { value, offset } of streams.read(TOPICS.record, q, 0)) {
      const line = parseLine(text(value).trimEnd())
      if ('reason' in line || line.prev !== prev) {
        breaks.push(
          `record ${q}/${offset}: ${'reason' in line ? line.reason : 'not chained to the line before'}`,
        )
        break
      }
      prev = line.hash
      add(lines, line.id, sha256(JSON.stringify(line.entry)))
    }
  }
  for await (const message of all(streams, TOPICS.deadLetters)) deadLetters.push(message)
  return { windows, events, essence, lines, breaks, deadLetters }
}

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('utf8')

function add(to: Tellings, name: string, content: string): void {
  const told = to.get(name)
  if (told) told.push(content)
  else to.set(name, [content])
}

async function* all(streams: Streams, topic: string): AsyncGenerator<StoredMessage> {
  for (let p = 0; p < (await streams.partitions(topic)); p++) yield* streams.read(topic, p, 0)
}

/** Rows are named by the keys of their series: slots differ between two lives of a scorer. */
export function windowTeller(anomaliesPartition: number, to: Tellings): (message: StoredMessage) => void {
  const series = new SeriesTable(100_000)
  const reader = new WindowReader(series, () => {})
  return ({ headers, value, offset }) => {
    if (headers[HEADERS.content] !== CONTENT.window) return
    const report = reader.read(value)
    if (typeof report === 'string') throw new Error(`anomalies ${offset}: ${report}`)
    const { batch, opinions, changes } = report
    const rows: string[] = []
    for (let i = 0; i < batch.length; i++) {
      const said = [
        ...[batch.observed, batch.coverage, opinions.surprise, opinions.point, opinions.incident],
        ...[opinions.score, opinions.expected, opinions.lower, opinions.upper, opinions.evidence],
        ...[opinions.direction, opinions.strongest],
      ].map(column => column[i])
      rows.push(`${series.meta(batch.series[i]).key} ${said.join(' ')}`)
    }
    rows.sort()
    const told = changes
      .map(({ event, anomaly }) => JSON.stringify([event, { ...anomaly, series: 0 }]))
      .sort()
    const name = `${anomaliesPartition}:${report.samplesPartition}/${report.windowEndMs}${report.part > 0 ? `/${report.part}` : ''}`
    add(to, name, sha256(`${report.unknown}\n${rows.join('\n')}\n${told.join('\n')}`))
  }
}

/** What a fault cost. All zero but `repeats` is what is promised. */
export interface Comparison {
  /** Events of the undisturbed run that were never told. */
  readonly disruptionsLost: number
  /** Events that the undisturbed run does not know. */
  readonly disruptionsMore: number
  /** Of those that both know: told with another content than undisturbed. */
  readonly disruptionsDiffer: number
  /** Ids, of events and of lines of the record, that stand for two different contents in this run. */
  readonly idsWithTwoContents: number
  /** Ids that stand more than once in the record or on the topic of disruptions. */
  readonly idsTwice: number
  readonly windowsLost: number
  /** Windows told with two different contents: scored, and learned from, twice. */
  readonly windowsTwice: number
  /** Windows that are told once, or the same again, but are not those of the undisturbed run. */
  readonly windowsDiffer: number
  /** Windows told again with the same content, which receivers drop. */
  readonly repeats: number
  readonly breaks: number
}

export function compared(undisturbed: Outcome, run: Outcome): Comparison {
  const count = (items: Iterable<unknown>) => [...items].length
  const distinct = (told: readonly string[]) => new Set(told).size
  const ids = [...run.events.values(), ...run.lines.values()]
  const known = [...undisturbed.windows].map(([name, [content]]) => [content, run.windows.get(name)] as const)
  const both = [...undisturbed.essence].filter(([id]) => run.essence.has(id))
  return {
    disruptionsLost: undisturbed.events.size - both.length,
    disruptionsMore: count([...run.events.keys()].filter(id => !undisturbed.events.has(id))),
    disruptionsDiffer: count(both.filter(([id, essence]) => run.essence.get(id) !== essence)),
    idsWithTwoContents: ids.filter(told => distinct(told) > 1).length,
    idsTwice: ids.filter(told => told.length > 1).length,
    windowsLost: known.filter(([, told]) => told === undefined).length,
    windowsTwice: [...run.windows.values()].filter(told => distinct(told) > 1).length,
    windowsDiffer: known.filter(([content, told]) => told !== undefined && told[0] !== content).length,
    repeats: [...run.windows.values()].reduce((sum, told) => sum + told.length - distinct(told), 0),
    breaks: run.breaks.length,
  }
}
