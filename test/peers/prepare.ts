// Gets every real peer that the tests rely on before the first test runs, so that no test's time limit has to hold the
// loading of a Kafka or a Debian package. What cannot be had is named here and again by the tests that miss it.
import type { TestContext } from 'vitest'
import { kafkaSoftware } from './kafka-software.ts'
import { PEER_NAMES, peerPath } from './peers.ts'

/** What the peers want of a test: a name for their messages, and a way to end it. */
const context = {
  task: { name: 'before the tests' },
  skip: (reason: string) => {
    throw new Error(reason)
  },
} as unknown as TestContext

for (const get of [...PEER_NAMES.map(name => () => peerPath(name, context)), () => kafkaSoftware(context)]) {
  try {
    await get()
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n`)
  }
}
