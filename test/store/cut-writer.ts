// A program that the kill test starts and kills: it cuts columns that it goes on changing while they are written, again and
// again, and prints every position once it is saved. At a position all values are that position.
import { writeSync } from 'node:fs'
import { setImmediate as breathe } from 'node:timers/promises'
import { ColumnStore } from '../../src/core/columns.ts'
import { Cut } from '../../src/core/cut.ts'
import { FileCheckpoints } from '../../src/store/file-checkpoints.ts'

const ROWS = 200_000
const store = new FileCheckpoints({ dir: process.argv[2] })
const columns = new ColumnStore({ value: 'f64' }, 12)
columns.ensure(ROWS)
const table = { capacity: ROWS, keys: () => [], row: () => -1 }
for (let position = ((await store.load())?.position ?? 0) + 1; ; position++) {
  for (let c = 0; c < columns.chunks.length; c++) columns.writable(c).value.fill(position)
  const cut = new Cut()
  const parts = [columns.cut(cut, 'values', 1, table)]
  let isSaved = false
  const saving = store.save({ position, savedMs: 0, parts, cut }).finally(() => {
    isSaved = true
  })
  for (let c = columns.chunks.length - 1; c >= 0 && !isSaved; c--) {
    columns.writable(c).value.fill(-position)
    if (c % 4 === 0) await breathe()
  }
  await saving
  writeSync(1, `${position}\n`)
}
