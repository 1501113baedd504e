import type { Broker } from 'kafkajs/src/cluster/index.js'
import { createErrorFromCode } from 'kafkajs/src/protocol/error.js'

const UNSUPPORTED_VERSION = 35

/** Throws where the broker is known not to speak that version of a request. */
export function expectSpoken(broker: Broker, key: number, version: number): void {
  const spoken = broker.versions?.[key]
  if (spoken && (spoken.minVersion > version || spoken.maxVersion < version)) refuse(UNSUPPORTED_VERSION)
}

/** Throws what Kafka gives as an error; 0 is none. */
export function refuse(code: number): void {
  if (code !== 0) throw createErrorFromCode(code)
}

/** Asks; as kafkajs does for its own requests, the next one opens a connection anew when this one is closed meanwhile. */
export async function asking<Answer>(broker: Broker, ask: () => Promise<Answer>): Promise<Answer> {
  try {
    return await ask()
  } catch (error) {
    if ((error as Error).name === 'KafkaJSConnectionClosedError') await broker.disconnect()
    throw error
  }
}
