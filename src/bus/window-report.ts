import type { ByteWriter } from '../core/byte-writer.ts'
import { ByteCursor } from './byte-cursor.ts'

/**
 * What a scorer tells the disruption stage of one window: rows with all that was said of them, changes of anomalies, and
 * a dictionary of the series they are about. A message (CONTENT.window) is a part of a window of one samples partition
 * for one anomalies partition:
 *
 *   header     version u8, samples partition, epoch, window end f64, part, last u8
 *   gone       count, slots
 *   dictionary count, entries of slot, fingerprint of the key (8 bytes), description as JSON
 *   rows       count, slots as differences in ascending order, columns (window-report-columns.ts)
 *   changes    count, entries of slot, kind u8, numbers f64, the rest as JSON; where the series is gone 2^24 for a slot,
 *              and the description with the rest
 *
 * Numbers without a type are varints. A series is named by its slot, the scorer's own row; the dictionary says what a slot
 * holds when it is first told and again every `ROTATION` windows, so that a reader without memory learns it.
 */
export const VERSION = 1

/** Every series is described again in one of so many windows, by its slot. */
export const ROTATION = 60
/** Most rows in a part. */
export const PART_ROWS = 12_288
/** A part is closed when it is about this large, bytes: well below the 1 MB that Kafka takes by default. */
export const PART_BYTES = 700_000
/** Most slots that a part says are gone. */
export const PART_GONE = 65_536

export interface WindowHeader {
  readonly samplesPartition: number
  /** Where in the log the scorer's state began; slots of different epochs have nothing to do with each other. */
  readonly epoch: number
  /** Exclusive, Unix ms. */
  readonly windowEndMs: number
  /** From 0 on within a window. */
  readonly part: number
  /** Whether it is the window's last. */
  readonly last: boolean
}

/** One message of a window report. */
export interface WindowPart extends WindowHeader {
  readonly anomaliesPartition: number
  readonly bytes: Uint8Array
}

type PartPlace = Pick<WindowHeader, 'epoch' | 'windowEndMs' | 'part'>

/** The order of reports of one samples partition; 0 for repeats. */
export function compareParts(a: PartPlace, b: PartPlace): number {
  return a.epoch - b.epoch || a.windowEndMs - b.windowEndMs || a.part - b.part
}

export function writeHeader(out: ByteWriter, header: WindowHeader): void {
  out.varint(VERSION)
  out.varint(header.samplesPartition)
  out.varint(header.epoch)
  out.double(header.windowEndMs)
  out.varint(header.part)
  out.varint(header.last ? 1 : 0)
}

/** The header alone, without a look at what follows; the reason when there is none. */
export function windowHeader(bytes: Uint8Array): WindowHeader | string {
  return readHeader(new ByteCursor(bytes))
}

export function readHeader(from: ByteCursor): WindowHeader | string {
  const version = from.varint()
  if (from.broken) return 'not a window report: too short'
  if (version !== VERSION) return `a window report of version ${version}, and only ${VERSION} is read here`
  const samplesPartition = from.varint()
  const epoch = from.varint()
  const windowEndMs = from.double()
  const part = from.varint()
  const last = from.varint()
  if (from.broken || last > 1 || !Number.isFinite(windowEndMs)) return 'not a window report: no header'
  return { samplesPartition, epoch, windowEndMs, part, last: last === 1 }
}
