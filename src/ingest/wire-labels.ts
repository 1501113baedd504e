import { countsFailures } from '../core/metric-kind.ts'
import { type KnownText, knownText } from '../core/text-dictionary.ts'
import {
  KEY,
  KEY_BYTES_MAX,
  KEY_ORDER,
  KEY_PREFIX,
  LABEL_COUNT,
  LABEL_IDS,
  LABEL_NUMBERS,
  LABEL_PLACES,
  LABEL_SLOTS,
  LABELS_FULL,
  LABELS_NUMBERED,
} from '../kernels/assembly/_wire-layout.ts'
import { pagesOf } from '../kernels/load.ts'
import type { RemoteWriteKernel } from '../kernels/remote-write.ts'
import { safeName } from './naming.ts'
import type { IntakeOptions } from './options.ts'
import type { WireMemory } from './wire-memory.ts'

/** Names remembered; when there are too many, all are forgotten. */
const NAMES_MAX = 4096
const SLOT_BYTES = 2 * LABELS_NUMBERED * 4
const ID_BYTES = LABELS_NUMBERED * 16
/** Anything that a key spells otherwise than a sender does. */
const SPECIAL_VALUE = /["\\\n\u0080-\uffff]/
const SPECIAL_NAME = /[\u0080-\uffff]/
/** Objects put such names before all others. */
const NUMBER_LIKE = /^\d/

/** What becomes of a label. */
export const USE = {
  keep: 0,
  /** It is left out of the series. */
  drop: 1,
  /** The plain way knows what to do with it. */
  odd: 2,
} as const

/** A label that was seen, and what follows from it alone. */
export interface WireLabel {
  readonly name: string
  readonly value: KnownText
  readonly use: number
  /** It says that what it stands at counts failures. */
  readonly countsFailures: boolean
}

/**
 * The labels of one series at a time, numbered by the kernel; each becomes text once for as long as it is remembered, which
 * is until so many others were seen.
 */
export class WireLabels {
  readonly #memory: WireMemory
  readonly #kernel: RemoteWriteKernel
  readonly #options: IntakeOptions
  /** By number; of one that was numbered in a series that is odd, nothing may be known yet. */
  #known: (WireLabel | undefined)[] = []
  /** Names of labels, each the same object, so that comparing two costs nothing. */
  #names = new Map<string, string>()
  #hasRoom = false
  /** Labels of the series at hand, in their order. */
  readonly at: WireLabel[] = []
  length = 0

  constructor(memory: WireMemory, kernel: RemoteWriteKernel, options: IntakeOptions) {
    this.#memory = memory
    this.#kernel = kernel
    this.#options = options
  }

  /** Takes up a series whose labels lie at [from, to) of the memory; false when only the plain way can read them. */
  read(from: number, to: number): boolean {
    this.length = 0
    // Keys are no longer than the labels that they are made of, but for a suffix; a tenant's name comes before.
    if (to - from > KEY_BYTES_MAX / 2 || !this.#room()) return false
    let count = this.#kernel.numberLabels(from, to)
    if (count === LABELS_FULL) {
      this.#forget()
      count = this.#kernel.numberLabels(from, to)
    }
    if (count <= 0) return false
    const { i32 } = this.#memory
    for (let i = 0; i < count; i++) {
      const number = i32[(LABEL_NUMBERS >> 2) + i]
      let label = this.#known[number]
      if (label === undefined) {
        label = this.#labelAt(i)
        this.#known[number] = label
      }
      if (label.use === USE.odd) return false
      this.at[i] = label
    }
    this.length = count
    return true
  }

  /**
   * Writes the canonical key of the series at hand into the memory at KEY; `order`: places of the metric and of the labels as
   * the key has them. Its length.
   */
  writeKey(order: Uint8Array, isRate: boolean, tenant: string): number {
    let prefix = 0
    if (tenant !== 'default') {
      const { u8 } = this.#memory
      for (; prefix < tenant.length; prefix++) u8[KEY + prefix] = tenant.charCodeAt(prefix)
      u8[KEY + prefix++] = 0x2f
    }
    this.#memory.i32[KEY_PREFIX >> 2] = prefix
    this.#memory.u8.set(order, KEY_ORDER)
    return this.#kernel.writeKey(order.length - 1, isRate)
  }

  /** Whether keys of a tenant can be written. */
  canSay(tenant: string): boolean {
    return tenant === 'default' || (tenant.length <= KEY_BYTES_MAX / 4 && !SPECIAL_NAME.test(tenant))
  }

  /** `textHash` of the key that was written. */
  hashKey(length: number): number {
    return this.#kernel.hashKey(length) >>> 0
  }

  #room(): boolean {
    if (this.#hasRoom) return true
    const memory = this.#memory
    const slots = memory.take(pagesOf(SLOT_BYTES))
    const ids = memory.take(pagesOf(ID_BYTES))
    if (slots === 0 || ids === 0) return false
    memory.i32[LABEL_SLOTS >> 2] = slots
    memory.i32[LABEL_IDS >> 2] = ids
    this.#hasRoom = true
    return true
  }

  #forget(): void {
    const { i32, u8 } = this.#memory
    const slots = i32[LABEL_SLOTS >> 2]
    u8.fill(0, slots, slots + SLOT_BYTES)
    i32[LABEL_COUNT >> 2] = 0
    this.#known = []
  }

  #labelAt(i: number): WireLabel {
    const { i32 } = this.#memory
    const at = (LABEL_PLACES >> 2) + 3 * i
    const lengths = i32[at + 1]
    const name = this.#nameOf(this.#text(i32[at] >>> 0, lengths & 0xffff))
    const value = this.#text(i32[at + 2] >>> 0, lengths >>> 16)
    return {
      name,
      value: knownText(value),
      use: this.#useOf(name, value),
      countsFailures: countsFailures({ [name]: value }),
    }
  }

  #nameOf(name: string): string {
    const known = this.#names.get(name)
    if (known !== undefined) return known
    if (this.#names.size >= NAMES_MAX) this.#names.clear()
    this.#names.set(name, name)
    return name
  }

  /** UTF-8 read byte by byte: whatever is no ASCII is odd either way. */
  #text(from: number, length: number): string {
    return Buffer.from(this.#memory.u8.buffer, from, length).toString('latin1')
  }

  /** As `LabelSet.add` decides. */
  #useOf(name: string, value: string): number {
    const { dropLabels, nameLengthMax, labelValueLengthMax } = this.#options
    const isMetric = name === '__name__'
    const safe = isMetric ? value : name
    if (safe === '' || safeName(safe) !== safe || SPECIAL_NAME.test(safe) || safe.length > nameLengthMax)
      return USE.odd
    if (isMetric) return USE.keep
    if (value === '' || name.startsWith('__') || dropLabels.includes(name)) return USE.drop
    if (NUMBER_LIKE.test(name) || SPECIAL_VALUE.test(value) || value.length > labelValueLengthMax)
      return USE.odd
    return USE.keep
  }
}
