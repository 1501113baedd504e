// A program that the kill tests start and kill: it appends for ever and prints every position once it is durable. With a
// number as its second argument it commits all but the last so many, again and again.
import { writeSync } from 'node:fs'
import { FileJournal } from '../../src/bus/file-journal.ts'
import { envelope } from './journal-contract.ts'

const journal = await FileJournal.open({ dir: process.argv[2], segmentBytes: 200_000 })
const kept = Number(process.argv[3] ?? 0)
async function write(): Promise<void> {
  for (;;) {
    const position = journal.append(envelope(`envelope ${journal.end + 1} ${'z'.repeat(journal.end % 3000)}`))
    await journal.sync(position)
    if (kept > 0 && position % kept === 0) await journal.commit(position - kept)
    writeSync(1, `${position}\n`)
  }
}
await Promise.all(Array.from({ length: 8 }, write))
