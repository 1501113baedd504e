// Shows that a publisher delivers each event of the topic of disruptions to a real HTTP receiver at least once: in order
// per disruption, past a receiver that fails, refuses or is gone, over the loss of the publisher and over a rebalance;
// offsets pass an event only once it was delivered or buried; what is no event is passed over. And that Alertmanagers are
// told of what was open before whoever takes a partition over, and are left alone about what went to somebody else. What
// waits for a receiver is shown while it waits and no longer.
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'
import { describe, expect, it, onTestFinished } from 'vitest'
import { MemoryLog } from '../../src/bus/memory-log.ts'
import { MemoryStreams } from '../../src/bus/memory-streams.ts'
import { partitionOf } from '../../src/bus/partition-of.ts'
import { parseConfig } from '../../src/config.ts'
import { systemClock } from '../../src/core/clock.ts'
import type { DisruptionEvent } from '../../src/core/disruption.ts'
import { createLogger } from '../../src/core/logger.ts'
import { TOPICS } from '../../src/core/stream.ts'
import { Telemetry } from '../../src/core/telemetry.ts'
import { AlertmanagerSink } from '../../src/publish/alertmanager-sink.ts'
import { binaryHeaders, type CloudEvent } from '../../src/publish/cloudevents.ts'
import { WebhookPost, webhookName } from '../../src/publish/webhook-post.ts'
import { Publisher } from '../../src/roles/publisher.ts'
import { AlertmanagerPublisher } from '../../src/roles/publisher-alertmanager.ts'
import { WebhookPublisher, type WebhookPublisherOptions } from '../../src/roles/publisher-webhook.ts'
import { ToldEvents, toldEvent } from '../../src/roles/told-events.ts'
import { MemoryBoard } from '../../src/store/memory-board.ts'
import { MemoryIndex } from '../../src/store/memory-index.ts'
import { MemorySilences } from '../../src/store/memory-silences.ts'
import { event } from '../store/samples.ts'

const PARTITIONS = 3
const SECRET = `whsec_${Buffer.alloc(32, 1).toString('base64')}`

interface Receiver {
  readonly url: string
  readonly bodies: unknown[]
  /** What the next requests are answered, by what came. */
  answer: (body: unknown) => number
}

async function receiver(): Promise<Receiver> {
  const bodies: unknown[] = []
  const state = { answer: (_: unknown) => 204 }
  const server = createServer(async (request, response) => {
    let text = ''
    for await (const chunk of request) text += chunk
    const body = text === '' ? undefined : JSON.parse(text)
    if (request.method === 'GET') return void response.end('[]')
    const status = state.answer(body)
    if (status === 204) bodies.push(body)
    response.writeHead(status).end()
  })
  await new Promise<void>(done => server.listen(0, '127.0.0.1', done))
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return Object.assign(state, {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    bodies,
  })
}

const newLog = () => new MemoryLog({ topics: { [TOPICS.disruptions]: PARTITIONS, [TOPICS.deadLetters]: 1 } })

async function tell(log: MemoryLog, events: readonly DisruptionEvent[], timestampMs = Date.now()) {
  const producer = await new MemoryStreams(log).producer()
  await producer.send(
    TOPICS.disruptions,
    events.map(one => ({
      key: one.disruption.id,
      value: Buffer.from(JSON.stringify(one.disruption)),
      headers: binaryHeaders(one, 'https://foreshock.example/', 'ce_'),
      timestampMs,
    })),
  )
}

async function publisher(
  log: MemoryLog,
  url: string,
  member = 'a',
  more: Partial<WebhookPublisherOptions> = {},
) {
  const streams = new MemoryStreams(log)
  const post = new WebhookPost({
    url,
    secret: SECRET,
    source: 'https://foreshock.example/',
    target: { allowPrivate: true },
  })
  const group = streams.group({ topic: TOPICS.disruptions, group: 'publish-hook', member })
  const errors: unknown[] = []
  const owner = new WebhookPublisher({
    name: 'hook',
    group,
    post,
    producer: await streams.producer(),
    telemetry: new Telemetry(),
    clock: systemClock,
    onError: error => errors.push(error),
    retry: { firstMs: 10, longestMs: 40, giveUpMs: 60_000 },
    ...more,
  })
  await group.run(owner)
  let open = true
  const close = async () => {
    if (open) await group.close()
    open = false
    post.close()
  }
  onTestFinished(close)
  return { owner, errors, close }
}

const idsOf = (got: Receiver) => got.bodies.map(body => (body as CloudEvent).id)

async function until(what: () => boolean, withinMs = 5000): Promise<void> {
  for (const end = Date.now() + withinMs; !what(); await wait(5))
    if (Date.now() > end) throw new Error(`not within ${withinMs} ms: ${what}`)
}

const revisions = (disruption: string, count: number) =>
  Array.from({ length: count }, (_, i) => event(disruption, i + 1, i === 0 ? 'opened' : 'updated'))

describe('messages of the topic', () => {
  it('are read as they were written, and what is none has a reason', async () => {
    const log = newLog()
    const told = [...revisions('dis_a', 2), ...revisions('dis_b', 1)]
    await tell(log, told)
    const found: unknown[] = []
    for await (const line of new ToldEvents(new MemoryStreams(log)).read())
      found.push((line.entry as { event: unknown }).event)
    expect(found).toHaveLength(3)
    for (const one of told) expect(found).toContainEqual(one)
    const [message] = log.topic(TOPICS.disruptions).flat()
    expect(toldEvent({ ...message, headers: {} })).toMatch('ce_type')
    expect(toldEvent({ ...message, headers: { ...message.headers, ce_time: 'soon' } })).toMatch('ce_time')
    expect(toldEvent({ ...message, value: Buffer.from('{') })).toMatch('no disruption')
    expect(toldEvent({ ...message, value: Buffer.from('{"id":1}') })).toMatch('no disruption')
  })

  it('leave no partition open when another cannot be read', async () => {
    const log = newLog()
    await tell(log, revisions('dis_a', 1))
    const home = partitionOf('dis_a', PARTITIONS)
    let open = 0
    class Streams extends MemoryStreams {
      override async *read(topic: string, partition: number, from: number) {
        open++
        try {
          yield* super.read(topic, partition, from)
          if (partition > home) throw new Error('away')
        } finally {
          open--
        }
      }
    }
    expect(home).toBeLessThan(PARTITIONS - 1)
    await expect(new ToldEvents(new Streams(log)).read().next()).rejects.toThrow('away')
    expect(open).toBe(0)
  })
})

describe('webhook publisher', () => {
  it('delivers everything, revisions in order, past failures of one disruption', async () => {
    const [log, got] = [newLog(), await receiver()]
    let refused = 0
    got.answer = body => ((body as CloudEvent).subject === 'dis_a' && refused++ < 3 ? 500 : 204)
    await publisher(log, got.url)
    await tell(log, [...revisions('dis_a', 3), ...revisions('dis_b', 2), ...revisions('dis_c', 2)])
    await until(() => got.bodies.length === 7)
    for (const id of ['dis_a', 'dis_b', 'dis_c'])
      expect(idsOf(got).filter(one => one.startsWith(id))).toEqual(
        idsOf(got)
          .filter(one => one.startsWith(id))
          .sort(),
      )
    expect(idsOf(got)[0]).not.toBe('dis_a.1')
    await until(() =>
      [0, 1, 2].every(
        p => (log.committed('publish-hook').get(p) ?? 0) === log.topic(TOPICS.disruptions)[p].length,
      ),
    )
  })

  it('loses nothing when it dies, and begins where it stopped', async () => {
    const [log, got] = [newLog(), await receiver()]
    got.answer = body => ((body as CloudEvent).subject === 'dis_a' ? 500 : 204)
    const first = await publisher(log, got.url, 'a', {
      retry: { firstMs: 60_000, longestMs: 60_000, giveUpMs: 1e9 },
    })
    await tell(log, [...revisions('dis_a', 2), ...revisions('dis_b', 2), ...revisions('dis_c', 2)])
    await until(() => got.bodies.length === 4)
    // What was delivered is noted a moment after the receiver has it.
    const home = partitionOf('dis_a', PARTITIONS)
    const noted = log.group(TOPICS.disruptions, 'publish-hook').offsets
    await until(() =>
      log.topic(TOPICS.disruptions).every(({ length }, at) => at === home || (noted.get(at) ?? 0) === length),
    )
    await log.expire('publish-hook', 'a')
    got.answer = () => 204
    const second = await publisher(log, got.url, 'b')
    await until(() => second.owner.pending === 0 && new Set(idsOf(got)).size === 6)
    // What was delivered behind what was not is told again; the partition of `dis_a` alone has any.
    const again = idsOf(got).filter((id, i, all) => all.indexOf(id) !== i)
    for (const id of again) expect(partitionOf(id.split('.')[0], PARTITIONS)).toBe(home)
    await first.close()
    await second.close()
    const count = got.bodies.length
    await publisher(log, got.url, 'c')
    await tell(log, revisions('dis_d', 1))
    await until(() => got.bodies.length === count + 1)
    expect(idsOf(got)[count]).toBe('dis_d.1')
  })

  it('buries what nobody takes, and all of a receiver that is gone', async () => {
    const [log, got] = [newLog(), await receiver()]
    got.answer = () => 500
    const { close } = await publisher(log, got.url, 'a', {
      retry: { firstMs: 5, longestMs: 5, giveUpMs: 50 },
    })
    await tell(log, revisions('dis_a', 2))
    await until(() => log.topic(TOPICS.deadLetters)[0].length === 2)
    const [letter] = log.topic(TOPICS.deadLetters)[0]
    expect(letter.headers).toMatchObject({ ce_id: 'dis_a.1', 'foreshock-reason': 'hook: answered 500' })
    expect(JSON.parse(Buffer.from(letter.value).toString())).toMatchObject({ id: 'dis_a' })
    got.answer = () => 410
    await tell(log, revisions('dis_b', 2))
    await until(() => log.topic(TOPICS.deadLetters)[0].length === 4)
    expect(log.topic(TOPICS.deadLetters)[0][3].headers['foreshock-reason']).toMatch('410')
    expect(got.bodies).toEqual([])
    await close()
  })

  it('tells a new receiver of the last minutes, not of the past, and passes over what is no event', async () => {
    const [log, got] = [newLog(), await receiver()]
    await tell(log, revisions('dis_old', 1), Date.now() - 3_600_000)
    const producer = await new MemoryStreams(log).producer()
    await producer.send(TOPICS.disruptions, [
      { key: null, partition: 0, value: Buffer.from('?'), headers: {}, timestampMs: 1 },
    ])
    await tell(log, revisions('dis_new', 1))
    const { errors } = await publisher(log, got.url)
    await until(() => got.bodies.length === 1)
    expect(idsOf(got)).toEqual(['dis_new.1'])
    expect(String(errors[0])).toMatch('ce_type')
    await until(() => (log.committed('publish-hook').get(0) ?? 0) === log.topic(TOPICS.disruptions)[0].length)
  })

  it('reads no more than can wait, and goes on when there is room', async () => {
    const [log, got] = [newLog(), await receiver()]
    got.answer = () => 500
    const retry = { firstMs: 200, longestMs: 200, giveUpMs: 1e9 }
    const { owner } = await publisher(log, got.url, 'a', { retry, random: () => 0.5 })
    for (let i = 0; i < 4; i++)
      await tell(
        log,
        Array.from({ length: 1000 }, (_, j) => event(`dis_${i}_${j}`)),
      )
    await wait(100)
    expect(owner.pending).toBeGreaterThan(900)
    expect(owner.pending).toBeLessThanOrEqual(PARTITIONS * 2500)
    got.answer = () => 204
    await until(() => got.bodies.length === 4000, 20_000)
    expect(owner.pending).toBe(0)
  })
})

describe('Alertmanager publisher', () => {
  async function member(log: MemoryLog, peers: readonly Receiver[], index: MemoryIndex, name: string) {
    const streams = new MemoryStreams(log)
    const group = streams.group({ topic: TOPICS.disruptions, group: 'publish-am', member: name })
    const sink = new AlertmanagerSink({
      urls: peers.map(one => one.url),
      externalUrl: 'https://foreshock.example',
      resendMs: 60,
      retryMs: 20,
    })
    onTestFinished(() => sink.close())
    const owner = new AlertmanagerPublisher({
      group,
      streams,
      sink,
      partitions: PARTITIONS,
      index,
      board: new MemoryBoard(),
      onError: error => expect.unreachable(String(error)),
    })
    await group.run(owner)
    onTestFinished(() => group.close())
    return { close: () => group.close().then(() => sink.close()) }
  }
  const alerts = (peer: Receiver) =>
    peer.bodies.flatMap(body => body as { labels: { disruption: string }; endsAt: string }[])
  const alertsOf = (peer: Receiver, id: string) => alerts(peer).filter(one => one.labels.disruption === id)

  it('takes over what is open, tells every one, and lets go of what moves', async () => {
    const log = newLog()
    const peers = [await receiver(), await receiver()]
    const index = new MemoryIndex()
    const open = event('dis_open')
    await index.apply([{ seq: 1, id: open.id, timeMs: 1, entry: { type: 'disruption', event: open } }])
    await member(log, peers, index, 'a')
    await until(() => peers.every(peer => alertsOf(peer, 'dis_open').length > 0))
    await tell(log, [event('dis_x')])
    await until(() => peers.every(peer => alertsOf(peer, 'dis_x').length >= 1))
    await tell(log, [event('dis_x', 2, 'resolved', { status: 'resolved' })])
    await until(() => peers.every(peer => alertsOf(peer, 'dis_x').length >= 2))

    // A second member shares the partitions: each keeps up its own, so nobody sends what the other does.
    await member(log, peers, index, 'b')
    await wait(80)
    for (const peer of peers) peer.bodies.length = 0
    await wait(300)
    const sends = alertsOf(peers[0], 'dis_open').length
    expect(sends).toBeGreaterThanOrEqual(2)
    expect(sends).toBeLessThanOrEqual(6)
  })

  it('takes over what was told last where the index does not have it yet', async () => {
    const [log, peer, index] = [newLog(), await receiver(), new MemoryIndex()]
    const before = event('dis_over')
    await index.apply([{ seq: 1, id: before.id, timeMs: 1, entry: { type: 'disruption', event: before } }])
    const first = await member(log, [peer], index, 'a')
    await tell(log, [
      event('dis_over', 1),
      event('dis_over', 2, 'resolved', { status: 'resolved' }),
      event('dis_late', 1),
    ])
    await until(() => alertsOf(peer, 'dis_late').length > 0 && alertsOf(peer, 'dis_over').length > 1)
    await first.close()
    peer.bodies.length = 0
    await member(log, [peer], index, 'b')
    await until(() => alertsOf(peer, 'dis_late').length > 1)
    expect(alertsOf(peer, 'dis_over')).toEqual([])
  })
})

it('begins nothing when a webhook has no secret: it would go on when this was closed', async () => {
  let asked = 0
  class Streams extends MemoryStreams {
    override async partitions(topic: string) {
      asked++
      return super.partitions(topic)
    }
  }
  const publisher = new Publisher({
    config: parseConfig({
      sinks: {
        webhooks: [{ url: 'https://example.com/', secret: 'whsec_short' }],
        alertmanagers: [{ url: 'http://127.0.0.1:1' }],
      },
    }),
    member: 'a',
    streams: new Streams(newLog()),
    index: new MemoryIndex(),
    board: new MemoryBoard(),
    silences: new MemorySilences(),
    source: 'https://foreshock.example',
    telemetry: new Telemetry(),
    logger: createLogger('silent'),
    clock: systemClock,
  })
  onTestFinished(() => publisher.close())
  await expect(publisher.start()).rejects.toMatchObject({ code: 'FS_CONFIG_INVALID' })
  expect(asked).toBe(0)
})

it('shows of every receiver how much waits for it: as long as it takes nothing, and no longer', async () => {
  const [log, hook, manager] = [newLog(), await receiver(), await receiver()]
  const isAway = () => 500
  hook.answer = isAway
  manager.answer = isAway
  const telemetry = new Telemetry()
  const publisher = new Publisher({
    config: parseConfig({
      sinks: {
        webhooks: [{ url: hook.url, secret: SECRET, allowPrivate: true }],
        alertmanagers: [{ url: manager.url }],
      },
    }),
    member: 'a',
    streams: new MemoryStreams(log),
    index: new MemoryIndex(),
    board: new MemoryBoard(),
    silences: new MemorySilences(),
    source: 'https://foreshock.example',
    telemetry,
    logger: createLogger('silent'),
    clock: systemClock,
  })
  onTestFinished(() => publisher.close())
  await publisher.start()
  await tell(log, revisions('dis_a', 1))
  const shown = async (sink: string) =>
    new RegExp(`foreshock_publish_pending\\{sink="${sink}"\\} (\\d+)`).exec(await telemetry.text())?.[1]
  const soon = { timeout: 20_000, interval: 50 }
  for (const sink of [webhookName(hook.url), 'alertmanager'])
    await expect.poll(() => shown(sink), soon).toBe('1')
  hook.answer = () => 204
  manager.answer = () => 204
  for (const sink of [webhookName(hook.url), 'alertmanager'])
    await expect.poll(() => shown(sink), soon).toBe('0')
})
