// A program that the kill test starts and kills: it publishes to a dead target for ever and prints each event's id
// once the sink has taken it.
import { writeSync } from 'node:fs'
import { WebhookSink } from '../../src/publish/webhook-sink.ts'
import { event } from '../store/samples.ts'

const sink = await WebhookSink.open({
  url: process.argv[3],
  secret: `whsec_${Buffer.alloc(32, 1).toString('base64')}`,
  queueFile: process.argv[2],
  source: 'https://foreshock.example/',
  target: { allowPrivate: true },
  retry: { firstMs: 5, longestMs: 10, giveUpMs: 60_000 },
})
for (let i = 1; ; i++) {
  const one = event(`dis_${i}`)
  await sink.publish(one)
  writeSync(1, `${one.id}\n`)
}
