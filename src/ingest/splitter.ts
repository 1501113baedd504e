import type { Envelope, Receipt } from '../core/envelope.ts'
import type { Rejects } from '../core/rejects.ts'
import { seriesKey } from '../core/series.ts'
import { hashText } from '../math/hash.ts'
import { BodyReader } from './body-reader.ts'
import { BIT } from './columns-layout.ts'
import type { ColumnsWriter } from './columns-writer.ts'
import { TYPE } from './families.ts'
import { IdleWires } from './idle-wires.ts'
import { entityOfWire } from './naming.ts'
import { INTAKE_DEFAULTS, type IntakeOptions } from './options.ts'
import type { PointSink, WireSpec } from './point-sink.ts'
import type { HistogramPoint } from './points.ts'
import { type Part, SplitMessages } from './split-messages.ts'
import { Tally } from './tally.ts'
import { PLAN } from './wire-records.ts'
import { WireTable } from './wire-table.ts'

/**
 * Between two definitions of a series, in its own time and in that of arrival, ms. A reader may drop what is silent for
 * longer than this, so what returns to it always comes defined; at a sample every 15 s a definition is one in twenty.
 */
const DEFINE_MS = 5 * 60_000
/** A series that lives on is named again as fresh after this, s: quotas count what they heard of within the hour. */
const COUNT_AGAIN_S = 50 * 60
/** A series that was refused by a quota is asked for again after this, s. */
const ASK_AGAIN_S = 5 * 60
/** What one body can name at the most, with room to spare: a self-contained splitter never refuses for what came before. */
const BODY_WIRES_MAX = 2 ** 30
/** A self-contained splitter forgets what it knows beyond this many series or small strings; it is a cache there. */
const CACHED_WIRES = 65_536
const CACHED_NAMES = 256
/** A message is closed once it may be this long: half of what Kafka takes by default, one definition may still follow. */
const MESSAGE_BYTES = 512 * 1024

export interface SplitterContext {
  readonly rejects: Rejects
  readonly partitions: number
  /** Partition of an entity's samples. */
  readonly place: (tenant: string, entity: string) => number
  /** Every message defines all its series: for a splitter whose output must not depend on what it split before. */
  readonly selfContained?: boolean
  readonly messageBytes?: number
  /** How long readers remember a series that is silent, ms; five minutes are believed at most. */
  readonly rememberedMs?: number
}

/** What one body was split into. */
export interface Parcel {
  /** What was taken and what was refused here; a scorer may refuse more. */
  readonly receipt: Receipt
  readonly parts: readonly Part[]
  /**
   * Series first seen with this body, or to be counted again: hashes of tenant and canonical key, as senders send them
   * (each bucket of a classic histogram is one).
   */
  readonly fresh: BigUint64Array
}

/** A reject that is told once it is known that the body is taken. */
type Held = Parameters<Rejects['add']>

/**
 * Bodies of any format → columnar messages of raw points, one a partition (more when long). Nothing is converted: rates
 * and quantiles need state, and the state of a series lives where its partition is scored.
 */
export class Splitter implements PointSink {
  table: WireTable
  readonly converts = false
  readonly births = undefined
  readonly io = new Float64Array(3)
  readonly #options: IntakeOptions
  readonly #context: SplitterContext
  readonly #defineMs: number
  readonly #tally = new Tally()
  readonly #body: BodyReader
  readonly #messages: SplitMessages
  readonly #hash = new Int32Array(2)
  readonly #idle: IdleWires
  /** Columns beside the table's: where a wire goes, in which message it stands and where, when it was last defined. */
  #partition = new Uint16Array(0)
  #serial = new Uint32Array(0)
  #index = new Uint32Array(0)
  #definedAt = new Int32Array(0)
  #countedS = new Uint32Array(0)
  #bits = new Uint8Array(0)
  /** Wires defined by the body at hand, those to be counted, and those that are new. */
  #defined: number[] = []
  #fresh: number[] = []
  #made: number[] = []
  #held: Held[] = []
  #arrivalS = 0
  #latestMs = 0
  #otlp = false

  constructor(options: Partial<IntakeOptions>, context: SplitterContext) {
    this.#options = { ...INTAKE_DEFAULTS, ...options }
    this.#context = context
    this.#idle = new IdleWires(this.#options.wireIdleMs)
    this.#defineMs = Math.min(DEFINE_MS, context.rememberedMs ?? DEFINE_MS)
    this.table = new WireTable(context.selfContained ? BODY_WIRES_MAX : this.#options.wiresMax)
    this.#messages = new SplitMessages(context.partitions, context.messageBytes ?? MESSAGE_BYTES, () =>
      this.#serial.fill(0),
    )
    this.#body = new BodyReader(this.#options, this, this.#tally, {
      add: (...held) => this.#held.push(held),
    })
  }

  /**
   * Never throws on bad input: the receipt says what was wrong. The next call, or `keep`, takes it that the parcel was
   * sent; call `undo` before it when it was not.
   */
  split(envelope: Envelope): Parcel {
    this.keep()
    if (this.#context.selfContained) this.#forgetMany()
    const refused = this.#body.open(envelope)
    if (refused) return { receipt: refused, parts: [], fresh: new BigUint64Array(0) }
    this.#arrivalS = Math.max(0, Math.floor(envelope.arrivalMs / 1000))
    this.#latestMs = envelope.arrivalMs + this.#options.futureMsMax
    this.#otlp = envelope.kind === 'otlp-protobuf' || envelope.kind === 'otlp-json'
    const failure = this.#body.read(envelope)
    const parts = this.#messages.finish()
    return { receipt: this.#body.close(envelope, failure), parts, fresh: this.#fingerprints() }
  }

  /** Splits the last body anew without some of its fresh series, by index: they are refused for a while. */
  again(envelope: Envelope, without: readonly number[], reason: string): Parcel {
    const { table } = this
    const wires = without.map(index => this.#fresh[index])
    this.#made = this.#made.filter(wire => !wires.includes(wire))
    for (const wire of wires) {
      table.setPlan(wire, PLAN.refused)
      table.setText(wire, reason)
      this.#countedS[wire] = this.#arrivalS
    }
    this.undo()
    return this.split(envelope)
  }

  /** The last parcel is sent: what was refused of it is told. */
  keep(): void {
    for (const held of this.#held) this.#context.rejects.add(...held)
    for (const wire of this.#fresh) this.#countedS[wire] = this.#arrivalS
    this.#messages.settle(true)
    this.#clear()
  }

  /** The last parcel was not sent: what it would have told is told again, and what was new in it is new again. */
  undo(): void {
    for (const wire of this.#defined) this.#definedAt[wire] = 0
    for (const wire of this.#made) this.table.remove(wire)
    this.#messages.settle(false)
    this.#clear()
  }

  #clear(): void {
    this.#defined = []
    this.#fresh = []
    this.#made = []
    this.#held = []
  }

  /** What was sent may not have arrived: everything is told again. */
  forgetTold(): void {
    this.#definedAt.fill(0)
    this.#messages.families.declared.clear()
  }

  define(a: number, b: number, check: number, spec: WireSpec): number {
    const { table } = this
    const text = seriesKey(spec.metric, spec.labels)
    if (table.size >= table.limit)
      this.#idle.look(table, this.#arrivalS, idle => {
        table.remove(idle)
      })
    const wire = table.add(a, b, check, text)
    if (wire < 0) {
      this.reject('series-limit', `${text}: ${table.limit} wire series are known already`)
      return -1
    }
    this.#fit()
    const entity = entityOfWire(spec.metric, spec.labels, spec.type, this.#options)
    const counted = spec.metric.endsWith('_count') && spec.labels.quantile === undefined
    table.setPlan(wire, PLAN.gauge)
    table.setOrigin(wire, spec.tenant, spec.unit)
    table.setType(wire, spec.type)
    table.setSeenS(wire, this.#arrivalS)
    this.#partition[wire] = this.#context.place(spec.tenant, entity)
    this.#serial[wire] = 0
    this.#definedAt[wire] = 0
    this.#countedS[wire] = 0
    // A summary of OTLP comes as its parts, of which the count is counted.
    this.#bits[wire] = this.#otlp && spec.type === TYPE.summary && !counted ? BIT.aside : 0
    this.#made.push(wire)
    return wire
  }

  defineRefused(a: number, b: number, check: number, reason: string): void {
    const wire = this.table.add(a, b, check, reason)
    if (wire < 0) return
    this.#fit()
    this.table.setPlan(wire, PLAN.refused)
    this.table.setSeenS(wire, this.#arrivalS)
    this.#countedS[wire] = 0
  }

  reject(reason: string, detail: string): void {
    if (this.#tally.reject(reason)) this.#tally.explain(reason, detail)
  }

  sample(wire: number, timeMs: number, value: number, startMs = 0): boolean {
    const { io } = this
    io[0] = timeMs
    io[1] = value
    io[2] = startMs
    return this.#take(wire, this.#bits[wire])
  }

  take(wire: number): boolean {
    return this.#take(wire, this.#bits[wire])
  }

  increment(wire: number, startMs: number, timeMs: number, value: number): boolean {
    const { io } = this
    io[0] = timeMs
    io[1] = value
    io[2] = startMs
    return this.#take(wire, BIT.increment)
  }

  settle(): void {}

  /** The batch is not used. */
  flush(): void {}

  histogram(wire: number, point: HistogramPoint): boolean {
    if (!this.#inTime(wire, point.timeMs)) return false
    if (this.table.plan(wire) === PLAN.refused) return this.#refuseAgain(wire, point.timeMs)
    const writer = this.#messages.writer(this.#partition[wire])
    writer.addHistogram(this.#place(wire, writer, point.timeMs), point)
    this.table.setSeenS(wire, this.#arrivalS)
    return true
  }

  declare(family: string, type: number, unit: string): void {
    this.#messages.declare(family, type, unit, this.#arrivalS)
  }

  /** Bytes of state held. */
  bytes(): number {
    return this.table.bytes() + this.#partition.length * 19 + this.#body.bytes()
  }

  #take(wire: number, bits: number): boolean {
    const { io, table } = this
    if (!this.#inTime(wire, io[0])) return false
    if (io[1] === Number.POSITIVE_INFINITY || io[1] === Number.NEGATIVE_INFINITY)
      return this.#refuse('not-finite', wire, io[1])
    if (table.plan(wire) === PLAN.refused) return this.#refuseAgain(wire, io[1])
    const writer = this.#messages.writer(this.#partition[wire])
    writer.add(this.#place(wire, writer, io[0]), bits, io)
    table.setSeenS(wire, this.#arrivalS)
    return true
  }

  #inTime(wire: number, timeMs: number): boolean {
    if (timeMs > 0 && timeMs <= this.#latestMs) return true
    return this.#refuse(timeMs > this.#latestMs ? 'future' : 'time', wire, timeMs)
  }

  /** Index of a wire in its message; when it is new there, its identity and perhaps its definition are written. */
  #place(wire: number, writer: ColumnsWriter, timeMs: number): number {
    if (this.#serial[wire] === writer.serial) return this.#index[wire]
    const { table } = this
    const index = writer.addSeries(table.a(wire), table.b(wire), table.check(wire))
    this.#serial[wire] = writer.serial
    this.#index[wire] = index
    // Every series has a phase of its own, so that definitions are spread evenly over time.
    const turn = Math.floor(timeMs / this.#defineMs + (table.a(wire) >>> 0) / 4_294_967_296)
    const silent = this.#sinceS(table.seenS(wire)) > this.#defineMs / 1000
    if (turn !== this.#definedAt[wire] || silent || this.#context.selfContained) {
      this.#definedAt[wire] = turn
      this.#defined.push(wire)
      if (this.#sinceS(this.#countedS[wire]) >= COUNT_AGAIN_S) this.#fresh.push(wire)
      writer.define(index, this.#messages.definitionOf(table, wire))
    }
    return index
  }

  #fingerprints(): BigUint64Array {
    const { table } = this
    const words = new Int32Array(2 * this.#fresh.length)
    for (const [i, wire] of this.#fresh.entries()) {
      hashText(`${table.tenant(wire)}/${table.text(wire)}`, 1, this.#hash)
      words.set(this.#hash, 2 * i)
    }
    return new BigUint64Array(words.buffer)
  }

  #refuse(reason: string, wire: number, what: number): false {
    if (this.#tally.reject(reason)) this.#tally.explain(reason, `${this.table.text(wire)}: ${what}`)
    return false
  }

  #refuseAgain(wire: number, what: number): false {
    const { table } = this
    this.#refuse(table.text(wire), wire, what)
    const counted = this.#countedS[wire]
    if (counted > 0 && this.#sinceS(counted) > ASK_AGAIN_S) table.remove(wire)
    return false
  }

  /** How far a moment of arrival is from this one, s: before it, or after it where the clock was set back since. */
  #sinceS(arrivalS: number): number {
    return Math.abs(this.#arrivalS - arrivalS)
  }

  #fit(): void {
    const { length } = this.table
    if (this.#serial.length >= length) return
    const capacity = Math.max(1024, Math.ceil(length * 1.125))
    const wider = <T extends Uint16Array | Uint32Array | Int32Array | Uint8Array>(from: T): T => {
      const to = new (from.constructor as new (length: number) => T)(capacity)
      to.set(from as never)
      return to
    }
    this.#partition = wider(this.#partition)
    this.#serial = wider(this.#serial)
    this.#index = wider(this.#index)
    this.#definedAt = wider(this.#definedAt)
    this.#countedS = wider(this.#countedS)
    this.#bits = wider(this.#bits)
  }

  /** Between two bodies only, so that what is made of one does not depend on those before it. */
  #forgetMany(): void {
    const { table } = this
    if (table.size <= CACHED_WIRES && table.origins.length <= CACHED_NAMES) return
    this.table = new WireTable(BODY_WIRES_MAX)
  }
}
