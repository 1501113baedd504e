import { ByteWriter } from '../core/byte-writer.ts'
import { DECLARED } from './columns-layout.ts'
import { ColumnsWriter, declarationsMessage, Scratch } from './columns-writer.ts'
import { Families } from './families.ts'
import type { WireTable } from './wire-table.ts'

/** A columnar message on its way. */
export interface Part {
  readonly partition: number
  readonly bytes: Uint8Array
}

/**
 * The columnar messages that a body is split into while they are written: one a partition, closed and begun anew when long, and
 * what the body declares of families, which goes to every partition.
 */
export class SplitMessages {
  readonly families = new Families()
  readonly #messageBytes: number
  /** Numbers of messages begin anew: no wire stands in any. */
  readonly #onRenumbered: () => void
  readonly #scratch = new Scratch()
  readonly #definition = new ByteWriter(512)
  readonly #declaration = new ByteWriter(512)
  readonly #writers: (ColumnsWriter | undefined)[]
  #serials = 0
  /** Families declared by the body at hand. */
  #declared: string[] = []
  #declaredIn = 0
  #declarations: Uint8Array[] = []
  #parts: Part[] = []

  constructor(partitions: number, messageBytes: number, onRenumbered: () => void) {
    this.#messageBytes = messageBytes
    this.#onRenumbered = onRenumbered
    this.#writers = new Array<ColumnsWriter | undefined>(partitions).fill(undefined)
  }

  /** The message that takes the next point of a partition. */
  writer(partition: number): ColumnsWriter {
    let writer = this.#writers[partition]
    if (!writer) {
      writer = new ColumnsWriter()
      this.#writers[partition] = writer
      this.#renew(writer)
    } else if (writer.bytesMax >= this.#messageBytes) this.#close(partition, writer)
    return writer
  }

  declare(family: string, type: number, unit: string, nowS: number): void {
    if (!this.families.declare(family, type, unit, nowS)) return
    this.#declared.push(family)
    this.#declaredIn++
    this.#declaration.string(family)
    this.#declaration.varint(type)
    this.#declaration.string(unit)
    if (this.#declaration.length >= this.#messageBytes) this.#endDeclarations()
  }

  /** What readers need to know of a wire's series. Lent until the next call. */
  definitionOf(table: WireTable, wire: number): Uint8Array {
    const text = table.text(wire)
    const brace = text.indexOf('{')
    const metric = brace < 0 ? text : text.slice(0, brace)
    const { declared } = this.families
    const own = declared.get(metric)
    const known = own ?? declared.get(Families.base(metric))
    const out = this.#definition
    out.clear()
    out.varint(table.type(wire))
    out.varint(own ? DECLARED.metric : known ? DECLARED.base : DECLARED.none)
    out.string(table.unit(wire))
    out.string(text)
    if (known) {
      out.varint(known.type)
      out.string(known.unit)
    }
    return out.lend()
  }

  /** Closes what is open; all messages of the body. What was declared goes to every partition, ahead of all points. */
  finish(): readonly Part[] {
    for (const [partition, writer] of this.#writers.entries())
      if (writer && !writer.empty) this.#close(partition, writer)
    this.#endDeclarations()
    const ahead: Part[] = []
    if (this.#declarations.length > 0)
      for (let partition = 0; partition < this.#writers.length; partition++)
        for (const bytes of this.#declarations) ahead.push({ partition, bytes })
    const parts = [...ahead, ...this.#parts]
    this.#declarations = []
    this.#parts = []
    return parts
  }

  /** What the last body declared is sent, or, if not `isSent`, to be declared again. */
  settle(isSent: boolean): void {
    if (!isSent) for (const family of this.#declared) this.families.declared.delete(family)
    this.#declared = []
  }

  #close(partition: number, writer: ColumnsWriter): void {
    this.#parts.push({ partition, bytes: writer.take(this.#scratch) })
    this.#renew(writer)
  }

  #renew(writer: ColumnsWriter): void {
    if (this.#serials === 0xffff_ffff) {
      this.#serials = 0
      this.#onRenumbered()
    }
    writer.serial = ++this.#serials
  }

  #endDeclarations(): void {
    if (this.#declaration.length === 0) return
    this.#declarations.push(declarationsMessage(this.#declaredIn, this.#declaration.lend()))
    this.#declaration.clear()
    this.#declaredIn = 0
  }
}
