// A program that the kill test starts and kills: it appends for ever and prints every id once it is durable.
import { writeSync } from 'node:fs'
import { FileRecord } from '../../src/store/file-record.ts'
import { audit } from './record-contract.ts'

const log = await FileRecord.open({ dir: process.argv[2], segmentBytes: 100_000 })
let next = log.head.seq
async function write(): Promise<void> {
  for (;;) {
    const n = ++next
    await log.append(`id${n}`, n, audit('z'.repeat(n % 3000)))
    writeSync(1, `${n}\n`)
  }
}
await Promise.all(Array.from({ length: 8 }, write))
