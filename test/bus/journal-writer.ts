// A program that the kill test starts and kills: it appends for ever and prints every position once it is durable.
import { writeSync } from 'node:fs'
import { FileJournal } from '../../src/bus/file-journal.ts'
import { envelope } from './journal-contract.ts'

const journal = await FileJournal.open({ dir: process.argv[2], segmentBytes: 200_000 })
async function write(): Promise<void> {
  for (;;) {
    const position = journal.append(envelope(`envelope ${journal.end + 1} ${'z'.repeat(journal.end % 3000)}`))
    await journal.sync(position)
    writeSync(1, `${position}\n`)
  }
}
await Promise.all(Array.from({ length: 8 }, write))
