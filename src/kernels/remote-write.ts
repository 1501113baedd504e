import { kernelOrNone } from './load.ts'

/** Over the memory of a wire table: addresses are bytes in it, and registers lie as assembly/_wire-layout.ts says. */
export interface RemoteWriteKernel {
  /** The elements of a snappy block at [from, to) → bytes at `out`; the length when that is what they make, else −1. */
  inflate(from: number, to: number, out: number, length: number): number
  /** How many fields of the tag `symbol` the message [from, to) has, or FRAME_BAD. */
  frame(from: number, to: number, symbol: number): number
  /** Hashes the symbols of the 2.0 body [from, to). */
  hashSymbols(from: number, to: number): void
  /** Numbers the labels [from, to) of a series of 1.0; how many there are, LABELS_ODD or LABELS_FULL. */
  numberLabels(from: number, to: number): number
  /** The canonical key of what was numbered last, with labels as KEY_ORDER says; its length. */
  writeKey(labels: number, isRate: boolean): number
  /** `textHash` of the key, as a signed number. */
  hashKey(length: number): number
  /** Goes on with the body that ends at `to`; one of WALK_. */
  walk(to: number, version: number, convert: boolean): number
}

/** The kernel over a memory; undefined where it cannot run. */
export const remoteWriteKernel = (memory: WebAssembly.Memory) =>
  kernelOrNone<RemoteWriteKernel>('remote-write', memory)
