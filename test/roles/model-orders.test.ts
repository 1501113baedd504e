// Shows how partitions of a fleet follow orders of models: each once, in the order of their numbers, with what was missed made
// up for, over restarts; that what `control` says and a partition lacks is written once, after what is on its way had its
// time; what a stage says of digests; and that no bytes whatever are taken for an order that is none.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { ModelOrder, ModelState } from '../../src/core/model.ts'
import { afterOrder, NO_STANDING, type Standing, type StoredVersion } from '../../src/core/model-standing.ts'
import {
  encodeModelCommand,
  encodeModelWord,
  type ModelWord,
  modelCommandOf,
  modelWordOf,
  standingOfWord,
  wordAfter,
  wordWith,
  wordWithout,
} from '../../src/core/model-word.ts'
import { modelName } from '../../src/detectors/model-plan.ts'
import { Gaps, ModelOrders, StageModels } from '../../src/roles/model-orders.ts'

const digestOf = (version: number) => `sha256:${String(version).padStart(64, '0')}`
const stored = (version: number): StoredVersion => ({
  model: 'm',
  version,
  digest: digestOf(version),
  packageDigest: digestOf(100 + version),
  source: 'pushed',
  folder: '',
  bytes: 1,
  files: [],
  card: { id: 'm', version, format: version === 3 ? 'tfjs-graph' : 'onnx' },
  pushedAt: null,
  pushedBy: null,
})
const named = (version: number) => ({ model: 'm', version, digest: digestOf(version), by: 'ann' })
const anyOrder = fc.oneof(
  fc.integer({ min: 1, max: 4 }).map((version): ModelOrder => ({ op: 'promote', ...named(version) })),
  fc.integer({ min: 1, max: 4 }).map((version): ModelOrder => ({ op: 'shadow', ...named(version) })),
  fc
    .tuple(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 10 }))
    .map(([version, tenths]): ModelOrder => ({ op: 'canary', ...named(version), share: tenths / 10 })),
  fc
    .constantFrom('withdraw' as const, 'rollback' as const, 'retire' as const)
    .map((op): ModelOrder => ({ op, model: 'm', by: 'ann' })),
)

/** Words that follow from orders, as gateways decide them; what makes no sense is left out. */
function wordsOf(orders: readonly ModelOrder[]): ModelWord[] {
  const words: ModelWord[] = []
  for (const order of orders) {
    const word = wordAfter('m', words.at(-1), order, 1_700_000_000_000, stored)
    if (typeof word !== 'string') words.push(word)
  }
  return words
}
const commandsOf = (words: readonly ModelWord[]) =>
  words.map(({ command }) => {
    if (command === null) throw new Error('no order')
    return command
  })

/** A pipeline that does what it is told, and says how its model stands. */
class Pipeline {
  standing: Standing = NO_STANDING
  orders = new ModelOrders()

  get live(): ModelState | undefined {
    const { champion, previous, challenger } = this.standing
    if (!champion && !challenger) return undefined
    const use = { rows: 0, failed: 0, msPerRow: 0, msMax: 0 }
    return {
      model: 'm',
      champion: champion && { ...champion, ...use },
      previous,
      challenger: challenger && { ...challenger, ...use },
      covered: 0,
      refused: 0,
    }
  }

  take(command: ReturnType<typeof commandsOf>[number]): number {
    const due = this.orders.due(command, this.live)
    if (due === undefined) return 0
    let refused: string | null = null
    for (const order of due) {
      const next = afterOrder(this.standing, order)
      if (typeof next === 'string') refused = next
      else this.standing = next
    }
    this.orders.done(command, refused)
    return due.length
  }
}

describe('orders of models in a partition', () => {
  it('lead to where the model stands, whichever come, how often, and in which order', () => {
    fc.assert(
      fc.property(
        fc.array(anyOrder, { minLength: 1, maxLength: 12 }),
        fc.array(fc.nat(), { maxLength: 20 }),
        fc.boolean(),
        (orders, picks, restarts) => {
          const commands = commandsOf(wordsOf(orders))
          if (commands.length === 0) return
          const last = commands[commands.length - 1]
          const here = new Pipeline()
          for (const pick of [...picks.map(n => n % commands.length), commands.length - 1]) {
            here.take(commands[pick])
            if (!restarts) continue
            const saved = JSON.parse(JSON.stringify(here.orders.snapshot()))
            here.orders = new ModelOrders()
            here.orders.restore(saved)
          }
          expect(here.orders.revision('m')).toBe(last.revision)
          const { champion, challenger } = last.standing
          // Without anybody who scores there is nothing left of a model, not who was champion before either.
          const expected = champion || challenger ? last.standing : NO_STANDING
          const { previous: _, ...mine } = here.standing
          const { previous: __, ...should } = expected
          expect(mine).toEqual(should)
          expect(here.take(last)).toBe(0)
          for (const command of commands) expect(here.take(command)).toBe(0)
        },
      ),
      { numRuns: 300 },
    )
  })

  it('are followed as they are where none was missed', () => {
    const commands = commandsOf(
      wordsOf([
        { op: 'promote', ...named(1) },
        { op: 'shadow', ...named(2) },
        { op: 'promote', ...named(2) },
        { op: 'rollback', model: 'm', by: 'ann' },
      ]),
    )
    const here = new Pipeline()
    expect(commands.map(command => here.take(command))).toEqual([1, 1, 1, 1])
    expect(here.standing).toEqual(commands[3].standing)
  })
})

describe('words on models', () => {
  it('are read as they were written, and rubbish is said to be that', () => {
    const words = wordsOf([
      { op: 'promote', ...named(1) },
      { op: 'canary', ...named(2), share: 0.5 },
    ])
    for (const word of words) {
      expect(modelWordOf(encodeModelWord(word))).toEqual(word)
      if (word.command) expect(modelCommandOf(encodeModelCommand(word.command))).toEqual(word.command)
    }
    const whole = encodeModelWord(words[1])
    fc.assert(
      fc.property(fc.nat(whole.length - 1), fc.nat(255), fc.nat(whole.length), (at, byte, end) => {
        const bytes = Uint8Array.from(whole)
        bytes[at] = byte
        for (const some of [bytes, whole.subarray(0, end), Uint8Array.of(byte)]) {
          const read = modelWordOf(some)
          if (typeof read !== 'string') expect(standingOfWord(read)).toBeDefined()
          expect(() => modelCommandOf(some)).not.toThrow()
        }
      }),
    )
    fc.assert(
      fc.property(fc.json(), text => {
        const bytes = new TextEncoder().encode(text)
        expect(typeof modelCommandOf(bytes)).toBe('string')
        expect(typeof modelWordOf(bytes)).toBe('string')
      }),
    )
  })

  it('remember what was removed, and no more history than fits a message', () => {
    const [word] = wordsOf([{ op: 'promote', ...named(1) }])
    const without = wordWithout('m', word, 2, digestOf(2))
    expect(without.removed).toEqual({ 2: digestOf(2) })
    expect(wordWith(without, 2).removed).toEqual({})
    const long = Array.from({ length: 150 }, (_, i): ModelOrder => {
      return { op: 'promote', ...named(1 + (i % 2)), why: 'w'.repeat(2000) }
    })
    const last = wordsOf(long).at(-1)
    expect(last?.command?.revision).toBe(150)
    expect(last?.history.length).toBeGreaterThan(50)
    expect(encodeModelWord(last as ModelWord).length).toBeLessThan(300_000)
  })
})

describe('what a partition lacks', () => {
  it('is written once, when what was on its way has come', () => {
    const gaps = new Gaps()
    // It was seen while the partition had ten messages, of which eight were read.
    expect(gaps.due('m', '1', 8, 10, 0)).toBe(false)
    expect(gaps.due('m', '1', 8, 12, 5000)).toBe(false)
    expect(gaps.due('m', '1', 10, 12, 1000)).toBe(false)
    expect(gaps.due('m', '1', 10, 12, 2000)).toBe(true)
    expect(gaps.due('m', '1', 12, 12, 9000)).toBe(false)
    expect(gaps.due('m', '2', 12, 12, 9000)).toBe(false)
    expect(gaps.due('m', '2', 12, 12, 11_000)).toBe(true)
    gaps.again('m')
    expect(gaps.due('m', '2', 12, 12, 12_000)).toBe(false)
    expect(gaps.due('m', '2', 12, 12, 14_000)).toBe(true)
    gaps.closed('m')
    expect(gaps.due('other', '1', 12, 12, 14_000)).toBe(false)
    // The same word may be missing again after it was heard.
    expect(gaps.due('other', '1', 12, 12, 16_000)).toBe(true)
    gaps.keep(new Set(['other']))
    expect(gaps.due('other', '1', 12, 12, 20_000)).toBe(false)
    gaps.keep(new Set())
    expect(gaps.due('other', '1', 12, 12, 22_000)).toBe(false)
    expect(gaps.due('other', '1', 12, 12, 24_000)).toBe(true)
  })
})

it('a stage names the digests of those that speak, and of those that evidence names', () => {
  const commands = commandsOf(
    wordsOf([
      { op: 'promote', ...named(1) },
      { op: 'shadow', ...named(2) },
      { op: 'canary', ...named(3), share: 0.5 },
      { op: 'promote', ...named(3) },
    ]),
  )
  const stage = new StageModels(modelName)
  expect(stage.take(commands[0])).toBe(true)
  expect(stage.digests([])).toEqual({ 'onnx:m@1': digestOf(1) })
  stage.take(commands[1])
  expect(stage.digests([])).toEqual({ 'onnx:m@1': digestOf(1) })
  stage.take(commands[2])
  expect(stage.digests([])).toEqual({ 'onnx:m@1': digestOf(1), 'tfjs:m@3': digestOf(3) })
  stage.take(commands[3])
  expect(stage.take(commands[1])).toBe(false)
  const restored = new StageModels(modelName)
  restored.restore(JSON.parse(JSON.stringify(stage.snapshot())))
  expect(restored.digests(['onnx:m@1', 'forest@1'])).toEqual({
    'onnx:m@1': digestOf(1),
    'tfjs:m@3': digestOf(3),
  })
  expect(restored.revision('m')).toBe(4)
})
