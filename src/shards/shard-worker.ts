import { type MessagePort, parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads'
import { ForeshockError } from '../core/errors.ts'
import { changed } from '../core/shared-word.ts'
import { CutSender } from './cut-sender.ts'
import { ASKED, BATCH, DONE, GONE, JUDGED, KIND, LENGTH, openMemory, SAID, TOLD, wordOf } from './memory.ts'
import { ShardScoring } from './shard-scoring.ts'
import type { Aside, FromShard, ShardData, ToShard } from './words.ts'

/** The thread of one worker: takes one turn after the other, in the order in which they were asked for. */
if (!parentPort) throw new Error('shard-worker is the start of a thread')
const parent = parentPort
const { data, port, cutPort } = workerData as {
  readonly data: ShardData
  readonly port: MessagePort
  readonly cutPort: MessagePort
}
const { control, bell, slots } = openMemory(data.memory)
const cuts = new CutSender(control, cutPort)
const scoring = new ShardScoring(data, (word: Aside) => parent.postMessage(word))
// Whoever waits for shared words alone does not keep a thread alive.
parent.on('message', () => {})
// The main thread may stand still and hear of nothing but this.
process.once('exit', () => {
  Atomics.store(control, GONE, 1)
  Atomics.notify(control, DONE)
})

function say(turn: number, word: FromShard | undefined): void {
  control[wordOf(turn, SAID)] = word === undefined ? 0 : 1
  if (word === undefined) return
  const buffers = word.parts?.flatMap(({ columns }) =>
    Object.values(columns).map(({ buffer }) => buffer as ArrayBuffer),
  )
  port.postMessage(word, [...new Set(buffers ?? [])])
}

function count(place: number, turns: number): void {
  Atomics.store(control, place, turns | 0)
  Atomics.notify(control, place)
  Atomics.add(bell, 0, 1)
  Atomics.notify(bell, 0)
}

async function batch(turn: number): Promise<void> {
  const { batch, opinions, weight } = slots[turn & (slots.length - 1)]
  batch.length = control[wordOf(turn, LENGTH)]
  await cuts.room()
  say(turn, await scoring.judge(batch, opinions))
  count(JUDGED, turn + 1)
  scoring.learn(batch, opinions, weight)
}

async function call(turn: number, word: NonNullable<ToShard['call']>): Promise<void> {
  try {
    const isCut = word.op === 'cut'
    say(turn, isCut ? { cut: cuts.open(word.number, cut => scoring.cut(cut)) } : await scoring.call(word))
  } catch (error) {
    const code = error instanceof ForeshockError ? error.code : undefined
    const message =
      error instanceof Error ? (code ? error.message : (error.stack ?? error.message)) : String(error)
    say(turn, { failed: { code, message } })
  }
  count(JUDGED, turn + 1)
}

for (let turn = 0; ; turn++) {
  while (Atomics.load(control, ASKED) === (turn | 0)) {
    cuts.send()
    await changed(control, ASKED, turn | 0)
  }
  const started = performance.now()
  const told =
    control[wordOf(turn, TOLD)] === 1 ? (receiveMessageOnPort(port)?.message as ToShard) : undefined
  if (told?.forgotten) scoring.forget(told.forgotten)
  if (told?.told) scoring.told(told.told)
  if (control[wordOf(turn, KIND)] === BATCH) await batch(turn)
  else if (told?.call) await call(turn, told.call)
  scoring.busyMs += performance.now() - started
  count(DONE, turn + 1)
  cuts.send()
  if (told?.call?.op === 'close') break
}
port.close()
cutPort.close()
parent.close()
