/**
 * What a sender sees as one series, known by the hash of its label bytes: an open-addressed table over columns.
 * A wire is not yet a series of ours: a counter's wire gives a rate, twelve bucket wires give three quantiles.
 */

/** How the samples of a wire are converted. */
export const PLAN = {
  free: 0,
  drop: 1,
  gauge: 2,
  counter: 3,
  /** Increments, as OTLP's delta sums. */
  delta: 4,
  /** A bucket, sum or count of a classic histogram or summary. */
  member: 5,
  /** Whole histograms in one point. */
  points: 6,
  /** Not on the wire: a derived statistic of a group or of points. */
  output: 7,
  /** Over a limit: counted and left. */
  refused: 8,
  /** A lone `_sum` or `_count`: its first value is held until a sibling, or its next value, tells what it is. */
  waiting: 9,
} as const

/** Row of a wire whose series could not be interned because the table was full. */
export const ROW_REFUSED = -2

/** The columns double by copying until `limit`; a copy of all of them is a few ms per 100 k wires. */
const FIRST_CAPACITY = 1024

export class WireTable {
  readonly limit: number
  /** One past the highest wire in use. */
  length = 0
  /** Wires in use. */
  size = 0
  capacity = FIRST_CAPACITY
  a = new Int32Array(FIRST_CAPACITY)
  b = new Int32Array(FIRST_CAPACITY)
  /** Length of what was hashed: the third part of the identity. */
  width = new Uint32Array(FIRST_CAPACITY)
  plan = new Uint8Array(FIRST_CAPACITY)
  /** Declared metric type as remote write numbers them, 8 for increments. */
  type = new Uint8Array(FIRST_CAPACITY)
  /** Indices into `names` below. */
  unit = new Uint16Array(FIRST_CAPACITY)
  tenant = new Uint16Array(FIRST_CAPACITY)
  /** Row of the SeriesTable, −1 until its first value. */
  row = new Int32Array(FIRST_CAPACITY)
  /** Next wire that feeds the same row, −1 at the end. */
  next = new Int32Array(FIRST_CAPACITY)
  /** Last cumulative value and its time, 0 before the first. */
  last = new Float64Array(FIRST_CAPACITY)
  lastMs = new Float64Array(FIRST_CAPACITY)
  /** Value of the moment that is being collected: group members only. */
  cur = new Float64Array(FIRST_CAPACITY)
  curMs = new Float64Array(FIRST_CAPACITY)
  /** Group of a member, −1 otherwise. */
  group = new Int32Array(FIRST_CAPACITY)
  /** Upper bound of a bucket; see ROLE_SUM and ROLE_COUNT for the others. */
  bound = new Float64Array(FIRST_CAPACITY)
  /** Arrival of the last sample, Unix s. */
  seenS = new Uint32Array(FIRST_CAPACITY)
  /** Canonical key of the wire, without tenant. */
  readonly texts: string[] = []
  /** Small strings (units, tenants) by index; 0 is ''. */
  readonly names: string[] = ['']
  readonly #nameIndex = new Map<string, number>([['', 0]])
  readonly #free: number[] = []
  #slots = new Int32Array(FIRST_CAPACITY * 4).fill(-1)
  #heads = new Int32Array(FIRST_CAPACITY).fill(-1)
  /** The wire found last: a guess at where to look next, never more. */
  #found = -1

  constructor(limit: number) {
    this.limit = limit
  }

  /** The wire of an identity, or −1. Senders repeat their order, so the one after the last found is tried first. */
  find(a: number, b: number, width: number): number {
    const guess = this.#found + 1
    if (guess < this.length && this.a[guess] === a && this.b[guess] === b && this.width[guess] === width) {
      // What was freed keeps its identity, and an output never had one.
      const plan = this.plan[guess]
      if (plan !== PLAN.free && plan !== PLAN.output) {
        this.#found = guess
        return guess
      }
    }
    return this.#search(a, b, width)
  }

  #search(a: number, b: number, width: number): number {
    const slots = this.#slots
    const mask = slots.length - 1
    for (let slot = a & mask; ; slot = (slot + 1) & mask) {
      const wire = slots[slot]
      if (wire < 0) return -1
      if (this.a[wire] === a && this.b[wire] === b && this.width[wire] === width) {
        this.#found = wire
        return wire
      }
    }
  }

  /** A new wire that `find` will know, or −1 when the table is full. */
  add(a: number, b: number, width: number, text: string): number {
    const wire = this.addOutput(text)
    if (wire < 0) return -1
    this.a[wire] = a
    this.b[wire] = b
    this.width[wire] = width
    this.#place(wire)
    return wire
  }

  /** A wire that is not on the wire. */
  addOutput(text: string): number {
    if (this.size >= this.limit) return -1
    const wire = this.#free.pop() ?? this.length++
    if (wire >= this.capacity) this.#grow(Math.min(this.capacity * 2, Math.max(this.limit, FIRST_CAPACITY)))
    this.size++
    this.texts[wire] = text
    this.plan[wire] = PLAN.output
    this.row[wire] = -1
    this.next[wire] = -1
    this.group[wire] = -1
    return wire
  }

  /** Puts a saved wire back at its own place, in ascending order; a free one among them stays free. */
  restoreAt(wire: number, plan: number, a: number, b: number, width: number, text: string): void {
    while (wire >= this.capacity) this.#grow(this.capacity * 2)
    this.length = wire + 1
    this.texts[wire] = text
    this.row[wire] = -1
    this.next[wire] = -1
    this.plan[wire] = plan
    if (plan === PLAN.free) {
      this.#free.push(wire)
      return
    }
    this.size++
    this.a[wire] = a
    this.b[wire] = b
    this.width[wire] = width
    if (plan !== PLAN.output) this.#place(wire)
  }

  remove(wire: number): void {
    if (this.plan[wire] === PLAN.free) return
    if (this.plan[wire] !== PLAN.output) this.#displace(wire)
    this.detach(wire)
    this.plan[wire] = PLAN.free
    this.type[wire] = 0
    this.unit[wire] = 0
    this.tenant[wire] = 0
    this.last[wire] = 0
    this.lastMs[wire] = 0
    this.cur[wire] = 0
    this.curMs[wire] = 0
    this.bound[wire] = 0
    this.group[wire] = -1
    this.texts[wire] = ''
    this.#free.push(wire)
    this.size--
  }

  /** Gives a wire its row. */
  attach(wire: number, row: number): void {
    if (row >= this.#heads.length) {
      const grown = new Int32Array(Math.max(row + 1, this.#heads.length * 2)).fill(-1)
      grown.set(this.#heads)
      this.#heads = grown
    }
    this.row[wire] = row
    this.next[wire] = this.#heads[row]
    this.#heads[row] = wire
  }

  detach(wire: number): void {
    const row = this.row[wire]
    this.row[wire] = -1
    if (row < 0) return
    if (this.#heads[row] === wire) this.#heads[row] = this.next[wire]
    else {
      let at = this.#heads[row]
      while (at >= 0 && this.next[at] !== wire) at = this.next[at]
      if (at >= 0) this.next[at] = this.next[wire]
    }
    this.next[wire] = -1
  }

  /** First wire that feeds a row, −1 when none. */
  head(row: number): number {
    return row < this.#heads.length ? this.#heads[row] : -1
  }

  /** Index of a small string; '' when there are too many different ones. */
  name(text: string): number {
    let index = this.#nameIndex.get(text)
    if (index === undefined) {
      if (this.names.length >= 65_535) return 0
      index = this.names.length
      this.names.push(text)
      this.#nameIndex.set(text, index)
    }
    return index
  }

  bytes(): number {
    // Columns are 91 bytes a wire; a text is about 100, one byte a unit with its header.
    return this.capacity * 91 + this.#slots.byteLength + this.#heads.byteLength + this.size * 100
  }

  #place(wire: number): void {
    const slots = this.#slots
    const mask = slots.length - 1
    let slot = this.a[wire] & mask
    while (slots[slot] >= 0) slot = (slot + 1) & mask
    slots[slot] = wire
  }

  /** Linear probing with backward shift, so that no tombstones pile up. */
  #displace(wire: number): void {
    const slots = this.#slots
    const mask = slots.length - 1
    let slot = this.a[wire] & mask
    while (slots[slot] !== wire) slot = (slot + 1) & mask
    for (let ahead = (slot + 1) & mask; slots[ahead] >= 0; ahead = (ahead + 1) & mask) {
      const home = this.a[slots[ahead]] & mask
      if (((ahead - home) & mask) >= ((ahead - slot) & mask)) {
        slots[slot] = slots[ahead]
        slot = ahead
      }
    }
    slots[slot] = -1
  }

  #grow(capacity: number): void {
    const wider = <T extends Int32Array | Uint32Array | Uint8Array | Uint16Array | Float64Array>(
      from: T,
    ): T => {
      const to = new (from.constructor as new (length: number) => T)(capacity)
      to.set(from as never)
      return to
    }
    this.a = wider(this.a)
    this.b = wider(this.b)
    this.width = wider(this.width)
    this.plan = wider(this.plan)
    this.type = wider(this.type)
    this.unit = wider(this.unit)
    this.tenant = wider(this.tenant)
    this.row = wider(this.row)
    this.next = wider(this.next)
    this.last = wider(this.last)
    this.lastMs = wider(this.lastMs)
    this.cur = wider(this.cur)
    this.curMs = wider(this.curMs)
    this.group = wider(this.group)
    this.bound = wider(this.bound)
    this.seenS = wider(this.seenS)
    const old = this.capacity
    this.capacity = capacity
    let slots = 4096
    while (slots < capacity * 2) slots *= 2
    this.#slots = new Int32Array(slots).fill(-1)
    for (let wire = 0; wire < old; wire++) {
      if (this.plan[wire] !== PLAN.free && this.plan[wire] !== PLAN.output) this.#place(wire)
    }
  }
}
