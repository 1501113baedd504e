// A member of group `g` on topic `t` as a process of its own: says what it is given, takes and commits, a line each.
import { KafkaStreams, type KafkaStreamsOptions } from '../../src/bus/kafka-streams.ts'

const options = JSON.parse(process.argv[2]) as KafkaStreamsOptions
const say = (text: string) => process.stdout.write(`${text}\n`)
const streams = new KafkaStreams(options)
const group = streams.group({ topic: 't', group: 'g', member: 'process' })
await group.run({
  assigned: async partition => {
    say(`assigned ${partition}`)
    return 'first'
  },
  take: async (partition, messages) => {
    const next = messages[messages.length - 1].offset + 1
    say(`took ${partition} to ${next}`)
    await group.commit(partition, next)
    say(`committed ${partition} ${next}`)
  },
  revoked: async (partition, orderly) => {
    say(`revoked ${partition}${orderly ? '' : ' at once'}`)
  },
})
// Also tries to commit while it does nothing else, as one that believes it still holds its partitions.
setInterval(() => {
  for (const partition of group.partitions)
    group.commit(partition, 1).then(
      () => say(`committed ${partition} 1`),
      () => {},
    )
}, 100)
