import { endIdentity, foldIdentity, hashRange } from '../math/hash.ts'
import { type DecodeContext, finishDefine, HISTOGRAM_CHECK } from './context.ts'
import { TYPE } from './families.ts'
import { safeName } from './naming.ts'
import { readNativeHistogram } from './native-histogram.ts'
import { utf8 } from './protobuf.ts'

/** Symbols of one body; their index costs 16 bytes each, so this is what bounds it to 16 MB. */
export const SYMBOLS_MAX = 1_000_000
/** Label references of one series; also bounded by labelsMax once they are read. */
const REFS_MAX = 1024

/** Why the symbols of a body cannot be read. */
export function symbolsFailure(what: 'too-many' | 'first'): string {
  return what === 'first' ? 'the first symbol is not empty' : `more than ${SYMBOLS_MAX} symbols`
}

/**
 * Prometheus remote write 2.0 (`io.prometheus.write.v2.Request`, already inflated and well framed): symbols = 4,
 * timeseries = 5 (labels_refs 1, samples 2, histograms 3, exemplars 4, metadata 5). Each symbol is hashed once a
 * body; a series' identity folds the hashes of its references, so it costs a few operations a label.
 */
export class RemoteWrite2 {
  #from = new Uint32Array(1024)
  #to = new Uint32Array(1024)
  #a = new Int32Array(1024)
  #b = new Int32Array(1024)
  #check = new Int32Array(1024)
  #symbols = 0
  readonly #refs = new Uint32Array(REFS_MAX)
  #refCount = 0
  /** Whether the symbols of the body at hand were read. */
  #begun = false

  /** '' or why the whole body cannot be read. */
  decode(c: DecodeContext): string {
    const why = this.#readSymbols(c)
    if (why !== '') return why
    const r = c.reader
    r.pos = 0
    while (r.pos < r.end) {
      const tag = r.varint()
      if (tag !== 0x2a) {
        r.skip(tag)
        continue
      }
      const end = r.enter()
      this.#readSeries(c, end)
      r.pos = end
      r.bad = false
    }
    return ''
  }

  /** Another body follows, of which single series are read. */
  begin(): void {
    this.#begun = false
  }

  /** One series, whose message the reader stands at, of a body whose symbols can be read. */
  readSeries(c: DecodeContext, end: number): void {
    const { pos } = c.reader
    if (!this.#begun) {
      c.reader.pos = 0
      this.#readSymbols(c)
      this.#begun = true
      c.reader.pos = pos
    }
    this.#readSeries(c, end)
  }

  #readSymbols(c: DecodeContext): string {
    const r = c.reader
    this.#symbols = 0
    while (r.pos < r.end) {
      const tag = r.varint()
      if (tag !== 0x22) {
        r.skip(tag)
        continue
      }
      const end = r.enter()
      if (this.#symbols >= SYMBOLS_MAX) return symbolsFailure('too-many')
      if (this.#symbols === this.#from.length) this.#grow()
      const at = this.#symbols++
      this.#from[at] = r.pos
      this.#to[at] = end
      hashRange(r.view, r.pos, end, c.seed, c.seedCheck, c.hash)
      this.#a[at] = c.hash[0]
      this.#b[at] = c.hash[1]
      this.#check[at] = c.hash[2]
      r.pos = end
    }
    if (this.#symbols > 0 && this.#to[0] !== this.#from[0]) return symbolsFailure('first')
    return ''
  }

  #grow(): void {
    const length = this.#from.length * 2
    const wider = <T extends Uint32Array | Int32Array>(from: T, to: T): T => {
      to.set(from)
      return to
    }
    this.#from = wider(this.#from, new Uint32Array(length))
    this.#to = wider(this.#to, new Uint32Array(length))
    this.#a = wider(this.#a, new Int32Array(length))
    this.#b = wider(this.#b, new Int32Array(length))
    this.#check = wider(this.#check, new Int32Array(length))
  }

  /** Reads the references into `#refs` and their identity into `c.hash`; false when they cannot be read. */
  #readRefs(c: DecodeContext, packed: boolean): boolean {
    const r = c.reader
    const end = packed ? r.enter() : r.pos + 1
    while (r.pos < end) {
      const ref = r.varint()
      if (ref >= this.#symbols || this.#refCount >= REFS_MAX) return false
      this.#refs[this.#refCount++] = ref
      foldIdentity(c.hash, this.#a[ref], this.#b[ref], this.#check[ref])
    }
    return !r.bad
  }

  #readSeries(c: DecodeContext, end: number): void {
    const r = c.reader
    const from = r.pos
    const { hash } = c
    this.#refCount = 0
    hash[0] = ~c.seed
    hash[1] = c.seed
    hash[2] = c.seedCheck
    let good = true
    while (good && r.pos < end && r.bytes[r.pos] >>> 3 === 1) {
      const tag = r.varint()
      good = this.#readRefs(c, (tag & 7) === 2)
    }
    if (!good || this.#refCount === 0 || this.#refCount % 2 === 1 || r.pos > end) {
      c.convert.reject('malformed', `labels of a series at byte ${from} cannot be read`)
      return
    }
    endIdentity(hash, this.#refCount)
    const a = hash[0]
    const b = hash[1]
    const check = hash[2]
    const body = r.pos
    let wire = c.convert.table.find(a, b, check)
    while (r.pos < end) {
      const tag = r.varint()
      if (tag === 0x12) {
        const stop = r.enter()
        if (wire < 0) wire = this.#define(c, body, end, a, b, check)
        let value = 0
        let timeMs = 0
        while (r.pos < stop) {
          const field = r.varint()
          if (field === 0x09) value = r.double()
          else if (field === 0x10) timeMs = r.int64()
          else r.skip(field)
        }
        if (r.bad || r.pos !== stop || stop > end) {
          c.convert.reject('malformed', `a sample at byte ${stop} is cut short`)
          return
        }
        if (wire >= 0 && c.convert.sample(wire, timeMs, value)) c.tally.samples++
      } else if (tag === 0x1a) {
        const stop = r.enter()
        if (stop > end) break
        if (readNativeHistogram(c, stop)) {
          let native = c.convert.table.find(a, b, check + HISTOGRAM_CHECK)
          r.pos = stop
          if (native < 0) native = this.#define(c, body, end, a, b, check + HISTOGRAM_CHECK)
          if (native >= 0 && c.convert.histogram(native, c.point)) c.tally.histograms++
        }
        r.bad = false
        r.pos = stop
      } else {
        if (tag === 0x22) c.tally.exemplars++
        r.skip(tag)
      }
    }
    if (r.bad || r.pos !== end) c.convert.reject('malformed', `a series at byte ${from} is cut short`)
  }

  #define(c: DecodeContext, body: number, end: number, a: number, b: number, check: number): number {
    const r = c.reader
    const { labels } = c
    labels.begin('')
    for (let i = 0; i < this.#refCount; i += 2) {
      const name = this.#text(c, this.#refs[i])
      const value = this.#text(c, this.#refs[i + 1])
      labels.add(name === '__name__' ? name : safeName(name), name === '__name__' ? safeName(value) : value)
    }
    // The metadata stand behind the samples.
    const resume = r.pos
    r.pos = body
    let type: number = TYPE.unknown
    let unit = ''
    while (r.pos < end) {
      const tag = r.varint()
      if (tag !== 0x2a) {
        r.skip(tag)
        continue
      }
      const stop = r.enter()
      while (r.pos < stop) {
        const field = r.varint()
        if (field === 0x08) type = r.varint()
        else if (field === 0x20) unit = this.#text(c, r.varint())
        else r.skip(field)
      }
    }
    r.bad = false
    r.pos = resume
    if (check >= HISTOGRAM_CHECK) type = TYPE.points
    else if (type > TYPE.stateset) type = TYPE.unknown
    return finishDefine(c, a, b, check, type, unit)
  }

  #text(c: DecodeContext, symbol: number): string {
    return symbol < this.#symbols ? utf8(c.reader.bytes, this.#from[symbol], this.#to[symbol]) : ''
  }
}
