// Shows that a journal in files is its model, a list of bodies, whatever becomes of it (property): after appends of any sizes, waits
// that overlap with writes and readers, commits, closings, and crashes at any moment that tear what nobody was promised or leave noise.
import {
  cpSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, expect, it } from 'vitest'
import { FileJournal } from '../../src/bus/file-journal.ts'
import { envelope, texts } from './journal-contract.ts'

const root = mkdtempSync(join(tmpdir(), 'foreshock-history-'))
afterAll(() => rm(root, { recursive: true, force: true }))
let made = 0
const folder = () => join(root, String(made++))

type Step =
  | { readonly kind: 'append' | 'race'; readonly count: number; readonly size: number }
  | { readonly kind: 'sync' | 'reopen' }
  | { readonly kind: 'commit' | 'read'; readonly back: number }
  | { readonly kind: 'crash'; readonly bytes: number; readonly tears: boolean }

const size = fc.oneof(fc.nat(50), fc.integer({ min: 4000, max: 4200 }), fc.nat(9000))
const count = fc.integer({ min: 1, max: 5 })
const of = <K extends Step['kind']>(...kinds: K[]) => fc.constantFrom(...kinds)
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 10, arbitrary: fc.record({ kind: of('append'), count, size }) },
  { weight: 2, arbitrary: fc.record({ kind: of('race'), count, size }) },
  { weight: 8, arbitrary: fc.record({ kind: of('sync', 'sync', 'sync', 'reopen') }) },
  { weight: 4, arbitrary: fc.record({ kind: of('commit', 'read'), back: fc.nat(12) }) },
  { weight: 2, arbitrary: fc.record({ kind: of('crash'), bytes: fc.nat(9000), tears: fc.boolean() }) },
)

class World {
  /** Bodies by position, from 1 on. */
  #model: string[] = []
  #promised = 0
  #committed = 0
  /** Bytes of each file that hold something promised. */
  #sizes = new Map<string, number>()
  #dir = folder()
  #journal!: FileJournal
  readonly #segmentBytes: number

  constructor(segmentBytes: number) {
    this.#segmentBytes = segmentBytes
  }

  async open(): Promise<void> {
    this.#journal = await FileJournal.open({ dir: this.#dir, segmentBytes: this.#segmentBytes })
  }

  async take(one: Step): Promise<void> {
    switch (one.kind) {
      case 'append':
        for (let i = 0; i < one.count; i++) this.#append(one.size)
        return
      case 'race': {
        const waits: Promise<void>[] = []
        for (let i = 0; i < one.count; i++) {
          waits.push(this.#journal.sync(this.#append(one.size)))
          if (i % 2 === 1) await undefined
        }
        const read = this.check()
        await Promise.all(waits)
        this.#isDurable()
        return read
      }
      case 'sync':
        await this.#journal.sync(this.#model.length)
        return this.#isDurable()
      case 'commit':
        this.#committed = Math.max(this.#committed, this.#promised - one.back)
        return this.#journal.commit(this.#committed)
      case 'read':
        return this.check(this.#model.length - one.back)
      case 'reopen':
        await this.close()
        await this.open()
        expect(this.#journal.end).toBe(this.#model.length)
        this.#isDurable()
        return this.check()
      case 'crash':
        return this.#crash(one.bytes, one.tears)
    }
  }

  #append(size: number): number {
    const text = `${this.#model.length + 1}:`.padEnd(size, 'x')
    this.#model.push(text)
    const position = this.#journal.append(envelope(text))
    expect(position).toBe(this.#model.length)
    return position
  }

  #isDurable(): void {
    this.#promised = this.#model.length
    const names = readdirSync(this.#dir)
    this.#sizes = new Map(names.map(name => [name, statSync(join(this.#dir, name)).size]))
  }

  /** What lies on the disk at this moment is gone on with. */
  async #crash(bytes: number, tears: boolean): Promise<void> {
    const dir = folder()
    cpSync(this.#dir, dir, { recursive: true })
    await this.close()
    const name = readdirSync(dir).sort()[readdirSync(dir).length - 1]
    const path = join(dir, name)
    const written = statSync(path).size
    const kept = this.#sizes.get(name)
    if (tears && written > (kept ?? 0))
      truncateSync(path, (kept ?? 0) + (bytes % (written - (kept ?? 0) + 1)))
    else if (kept === written)
      writeFileSync(path, Buffer.concat([readFileSync(path), Buffer.alloc(bytes, (bytes % 2) * 0x46)]))
    this.#dir = dir
    await this.open()
    const { end } = this.#journal
    expect(end).toBeGreaterThanOrEqual(this.#promised)
    expect(end).toBeLessThanOrEqual(this.#model.length)
    this.#model = this.#model.slice(0, end)
    this.#isDurable()
    await this.check()
  }

  async check(after = 0): Promise<void> {
    const from = Math.max(this.#committed, after)
    const expected = this.#model.slice(from).map((text, i) => [from + i + 1, text])
    expect(await texts(this.#journal, from)).toEqual(expected)
  }

  close(): Promise<void> {
    return this.#journal.close()
  }
}

it('a journal in files is a list of bodies, whatever becomes of it', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { maxLength: 40 }),
      fc.constantFrom(100, 500, 5000, 20_000),
      async (steps, segmentBytes) => {
        const world = new World(segmentBytes)
        await world.open()
        for (const one of steps) await world.take(one)
        await world.check()
        await world.close()
      },
    ),
    { numRuns: 25 },
  )
})
