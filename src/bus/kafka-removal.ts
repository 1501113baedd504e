import { ForeshockError } from '../core/errors.ts'
import { type KafkaConnection, kafkaAdmin } from './kafka-connection.ts'
import { kafkaError } from './kafka-errors.ts'

/** Removes every topic and group under a prefix, for fleets that live for one run; the topics there were. */
export async function removeTopics(connection: KafkaConnection, prefix: string): Promise<readonly string[]> {
  if (prefix === '') throw new ForeshockError('FS_ASSERTION', 'a prefix is needed, or all would go')
  const admin = kafkaAdmin(connection)
  try {
    await admin.connect()
    const topics = (await admin.listTopics()).filter(name => name.startsWith(prefix))
    if (topics.length > 0) await admin.deleteTopics({ topics })
    const { groups } = await admin.listGroups()
    const own = groups.map(({ groupId }) => groupId).filter(id => id.startsWith(prefix))
    // A group whose last member has not been given up yet cannot be removed; it expires by itself.
    if (own.length > 0) await admin.deleteGroups(own).catch(() => [])
    return topics
  } catch (error) {
    throw kafkaError(error, 'removing topics')
  } finally {
    await admin.disconnect().catch(() => {})
  }
}
