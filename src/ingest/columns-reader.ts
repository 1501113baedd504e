import { readHistogram } from './columns-histogram.ts'
import { BIT, COLUMNS_VERSION, DECLARED, IDENTITY_BYTES, SHAPE } from './columns-layout.ts'
import { type DecodeContext, finishDefine } from './context.ts'
import { Families } from './families.ts'
import { KernelColumns } from './kernel-columns.ts'
import { parseKey } from './naming.ts'
import { utf8 } from './protobuf.ts'

/** No wire was looked up yet. */
const NONE = -2

/** Reads columnar messages; see columns-layout.ts. Its columns are reused and grow to the largest message. */
export class ColumnsReader {
  /** Where the definition of a series begins, 0 without one; only filled when there are definitions. */
  #definedAt = new Uint32Array(64)
  #where = new Float64Array(64)
  #timeMs = new Float64Array(64)
  #startMs = new Float64Array(64)
  #defined = false
  #identities = 0
  #kernel: KernelColumns | undefined
  #isPlain = false

  /** '' or why the whole message cannot be read. */
  decode(c: DecodeContext): string {
    const r = c.reader
    if (r.end < 10) return 'the columns are cut short'
    const version = r.bytes[0]
    if (version !== COLUMNS_VERSION)
      return `columns of version ${version}; version ${COLUMNS_VERSION} is read`
    const shape = r.bytes[1]
    r.pos = 2
    const baseMs = r.double()
    const series = r.varint()
    const samples = r.varint()
    const definitions = r.varint()
    const declarations = r.varint()
    const histograms = r.varint()
    const left = r.end - r.pos
    const least = series * IDENTITY_BYTES + samples * 8 + definitions * 2 + declarations * 3 + histograms
    if (r.bad || !(least <= left)) return 'the columns are cut short'
    for (let i = 0; i < declarations && !r.bad; i++) this.#declare(c)
    c.convert.settle()
    this.#readDefinitions(c, series, definitions)
    this.#identities = r.pos
    r.pos += series * IDENTITY_BYTES
    if (r.bad || r.pos + samples * 8 > r.end) return 'the columns are cut short'
    const plain = shape === (SHAPE.ordered | SHAPE.oneTime)
    // Nothing is taken of what cannot be read; a fault among the histograms, which come last, costs those only.
    if (plain && samples > series) return 'there are samples of more series than there are'
    const isOneTime = (shape & SHAPE.oneTime) !== 0
    const isUsual = (shape & ~SHAPE.oneTime) === SHAPE.ordered && samples <= series
    if (isUsual && this.#byKernel(c, series, samples, baseMs, isOneTime)) {
      // All is taken.
    } else if (plain) this.#plain(c, samples, baseMs)
    else {
      const why = this.#general(c, series, samples, baseMs, shape)
      if (why !== '') return why
    }
    this.#histograms(c, series, histograms)
    return ''
  }

  /** One sample of each series; false, and nothing was done, when the kernel cannot read them. */
  #byKernel(c: DecodeContext, series: number, samples: number, baseMs: number, isOneTime: boolean): boolean {
    const r = c.reader
    const columns = {
      identities: this.#identities,
      identityBytes: series * IDENTITY_BYTES,
      samples,
      baseMs,
      isOneTime,
    }
    const end = this.#kernelFor(c)?.read(c, columns, (index, timeMs, value) => {
      const wire = this.#wire(c, index)
      if (wire >= 0 && c.convert.sample(wire, timeMs, value)) c.tally.samples++
    })
    if (end === undefined || end === 0) return false
    r.pos = end
    return true
  }

  /** The kernel over the memory of the sink's table as it is now; undefined where columns are read plainly. */
  #kernelFor(c: DecodeContext): KernelColumns | undefined {
    if (this.#isPlain || c.options.plain || !c.convert.converts) return undefined
    const { memory } = c.convert.table
    if (this.#kernel?.memory !== memory) {
      this.#kernel = KernelColumns.over(memory)
      this.#isPlain = this.#kernel === undefined
    }
    return this.#kernel
  }

  /** The usual message: one sample of each series, all at one time. */
  #plain(c: DecodeContext, samples: number, baseMs: number): void {
    const { convert, tally } = c
    const r = c.reader
    const { view } = r
    const { io, table } = convert
    let identity = this.#identities
    let at = r.pos
    r.pos += samples * 8
    for (let i = 0; i < samples; i++) {
      const wire = table.find(
        view.getInt32(identity, true),
        view.getInt32(identity + 4, true),
        view.getUint32(identity + 8, true),
      )
      identity += IDENTITY_BYTES
      const known = wire >= 0 ? wire : this.#define(c, i)
      if (known >= 0) {
        io[0] = baseMs
        io[1] = view.getFloat64(at, true)
        io[2] = 0
        if (convert.take(known)) tally.samples++
      }
      at += 8
    }
  }

  #general(c: DecodeContext, series: number, samples: number, baseMs: number, shape: number): string {
    const r = c.reader
    const { convert, tally } = c
    const { io } = convert
    this.#room(samples)
    const where = this.#where
    const timeMs = this.#timeMs
    const startMs = this.#startMs
    if (!readPlaces(c, where, samples, series, (shape & SHAPE.ordered) !== 0))
      return 'a sample of a series that is not there'
    const exact = (shape & SHAPE.exact) !== 0
    if ((shape & SHAPE.oneTime) !== 0) timeMs.fill(baseMs, 0, samples)
    else readTimes(c, timeMs, samples, baseMs, exact)
    let at = r.pos
    if (r.bad || at + samples * 8 > r.end) return 'the columns are cut short'
    r.pos += samples * 8
    if ((shape & SHAPE.starts) !== 0) readTimes(c, startMs, samples, 0, exact)
    else startMs.fill(0, 0, samples)
    if (r.bad) return 'the columns are cut short'
    let last = -1
    let wire = NONE
    for (let i = 0; i < samples; i++) {
      const index = Math.floor(where[i] / 4)
      const bits = where[i] - 4 * index
      const value = r.view.getFloat64(at, true)
      at += 8
      if (index !== last || wire < 0) wire = this.#wire(c, index)
      last = index
      if (wire < 0) continue
      let taken: boolean
      if ((bits & BIT.increment) !== 0) taken = convert.increment(wire, startMs[i], timeMs[i], value)
      else {
        io[0] = timeMs[i]
        io[1] = value
        io[2] = startMs[i]
        taken = convert.take(wire)
      }
      if (taken && (bits & BIT.aside) === 0) tally.samples++
    }
    return ''
  }

  #histograms(c: DecodeContext, series: number, histograms: number): void {
    const r = c.reader
    for (let i = 0; i < histograms; i++) {
      const index = r.varint()
      const why = readHistogram(r, c.point)
      if (r.bad || index >= series) {
        c.convert.reject('malformed', 'a histogram of a columnar message is cut short')
        return
      }
      if (why !== '') {
        c.convert.reject(why, `histogram ${i} of a columnar message`)
        continue
      }
      const wire = this.#wire(c, index)
      if (wire >= 0 && c.convert.histogram(wire, c.point)) c.tally.histograms++
    }
    if (r.pos !== r.end) c.convert.reject('malformed', `${r.end - r.pos} bytes stand behind the columns`)
  }

  /** The wire of a series of this message, defined when it is new here; −1 when it cannot be. */
  #wire(c: DecodeContext, index: number): number {
    const at = this.#identities + index * IDENTITY_BYTES
    const { view } = c.reader
    const wire = c.convert.table.find(
      view.getInt32(at, true),
      view.getInt32(at + 4, true),
      view.getUint32(at + 8, true),
    )
    return wire >= 0 ? wire : this.#define(c, index)
  }

  #define(c: DecodeContext, index: number): number {
    const r = c.reader
    const at = this.#identities + index * IDENTITY_BYTES
    const from = this.#defined ? this.#definedAt[index] : 0
    if (from === 0) {
      c.convert.reject(
        'undefined-series',
        `series ${index} of a columnar message is known to its sender only`,
      )
      return -1
    }
    const resume = r.pos
    r.pos = from
    const type = r.varint()
    const declared = r.varint()
    const unit = readText(c)
    const { metric, labels } = parseKey(readText(c))
    if (declared !== DECLARED.none) {
      const family = declared === DECLARED.base ? Families.base(metric) : metric
      const declaredType = r.varint()
      c.convert.declare(family, declaredType, readText(c))
      c.convert.settle()
    }
    const good = !r.bad
    r.pos = resume
    r.bad = false
    if (!good) {
      c.convert.reject('malformed', `the definition of series ${index} is cut short`)
      return -1
    }
    c.labels.begin(metric)
    for (const name of Object.keys(labels)) c.labels.add(name, labels[name])
    return finishDefine(
      c,
      r.view.getInt32(at, true),
      r.view.getInt32(at + 4, true),
      r.view.getUint32(at + 8, true),
      type,
      unit,
    )
  }

  #declare(c: DecodeContext): void {
    const family = readText(c)
    const type = c.reader.varint()
    const unit = readText(c)
    if (!c.reader.bad) c.convert.declare(family, type, unit)
  }

  #readDefinitions(c: DecodeContext, series: number, definitions: number): void {
    const r = c.reader
    this.#defined = definitions > 0
    if (!this.#defined) return
    if (this.#definedAt.length < series) this.#definedAt = new Uint32Array(2 * series)
    else this.#definedAt.fill(0, 0, series)
    for (let i = 0; i < definitions && !r.bad; i++) {
      const index = r.varint()
      const end = r.enter()
      if (index >= series) {
        r.fail()
        return
      }
      this.#definedAt[index] = r.pos
      r.pos = end
    }
  }

  #room(samples: number): void {
    if (this.#where.length >= samples) return
    this.#where = new Float64Array(2 * samples)
    this.#timeMs = new Float64Array(2 * samples)
    this.#startMs = new Float64Array(2 * samples)
  }
}

function readText(c: DecodeContext): string {
  const r = c.reader
  const end = r.enter()
  if (r.bad) return ''
  const text = utf8(r.bytes, r.pos, end)
  r.pos = end
  return text
}

/** False when one is out of range. */
function readPlaces(
  c: DecodeContext,
  where: Float64Array,
  samples: number,
  series: number,
  ordered: boolean,
): boolean {
  const r = c.reader
  let next = 0
  for (let i = 0; i < samples; i++) {
    let index = i
    let bits = 0
    if (!ordered) {
      const packed = r.varint()
      const zigzag = Math.floor(packed / 4)
      bits = packed % 4
      index = next + (zigzag % 2 === 0 ? zigzag / 2 : -(zigzag + 1) / 2)
    }
    if (!(index >= 0 && index < series)) return false
    where[i] = index * 4 + bits
    next = index + 1
  }
  return true
}

function readTimes(
  c: DecodeContext,
  times: Float64Array,
  samples: number,
  first: number,
  exact: boolean,
): void {
  const r = c.reader
  let before = first
  for (let i = 0; i < samples; i++) {
    before = exact ? r.double() : before + r.sint64()
    times[i] = before
  }
}
