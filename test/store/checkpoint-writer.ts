// A program that the kill test starts and kills: it saves for ever and prints every position once it is saved.
import { writeSync } from 'node:fs'
import { FileCheckpoints } from '../../src/store/file-checkpoints.ts'
import { checkpointOf } from './checkpoint-contract.ts'

const store = new FileCheckpoints({ dir: process.argv[2] })
for (let position = ((await store.load())?.position ?? 0) + 1; ; position++) {
  await store.save(checkpointOf(500 + (position % 100), position))
  writeSync(1, `${position}\n`)
}
