// Shows the role as it runs: the board, the directory and the record show what there is; a stage that is taken for dead in
// the middle of its work wakes up when another has taken over; Redis is away.
import { setImmediate as turn } from 'node:timers/promises'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { ForeshockError } from '../../src/core/errors.ts'
import { HEADERS, TOPICS } from '../../src/core/stream.ts'
import { FAULT, FleetWorld } from './fleet-world.ts'

let world: FleetWorld
afterEach(() => world.close())

const untilTrue = async (isTrue: () => boolean | Promise<boolean>) => {
  for (let i = 0; !(await isTrue()); i++) {
    if (i > 20_000) throw new Error('it does not come true')
    await turn()
  }
}

describe('the disruption stage of a fleet', () => {
  it('shows its board and address, and takes a change from its topic into the disruption', async () => {
    world = new FleetWorld({ samples: 2 })
    const [scorer, stage] = [await world.scorer(), await world.stage()]
    const producer = await world.streams().producer()
    await world.feed(0, FAULT - 3)
    await world.settle([scorer], [stage])
    const change = { time: new Date(world.nowMs).toISOString(), entity: 'store', kind: 'deploy', ref: 'v7' }
    await producer.send(TOPICS.changes, [
      { key: 'store', value: Buffer.from(JSON.stringify(change)), headers: {}, timestampMs: world.nowMs },
    ])
    await untilTrue(() => stage.partitions[0].changes.length === 1)
    await world.feed(FAULT - 3, FAULT + 20)
    await world.settle([scorer], [stage])
    await stage.tick()
    await untilTrue(async () => (await world.board.list()).length === 1)
    const [shown] = await world.board.list()
    expect(shown).toMatchObject({ status: 'open', entity: 'edge', changes: [{ entity: 'store', ref: 'v7' }] })
    // The process's own metrics say the same, and of letters that there are none.
    const text = await world.telemetry.text()
    expect(text).toMatch(/^foreshock_disruptions_open 1$/m)
    expect(text).toContain('foreshock_dead_letters_total{topic="anomalies"} 0')
    expect(text).toContain('foreshock_dead_letters_total{topic="changes"} 0')
    expect(await world.directory.find('stage/0')).toBe('http://stage-1.test')
    expect(world.told().map(one => one.id)).toContain(`${shown.id}.1`)
    expect(world.messages(TOPICS.disruptions)[0]).toMatchObject({
      key: shown.id,
      headers: {
        ce_specversion: '1.0',
        ce_id: `${shown.id}.1`,
        ce_source: 'foreshock',
        [HEADERS.tenant]: 'default',
      },
    })
    expect(world.record().map(line => line.entry.type)).toContain('change')
  })

  it('a stage that is taken for dead and wakes up tells nothing twice', async () => {
    world = new FleetWorld({ samples: 2 })
    const [scorer, former] = [await world.scorer(), await world.stage('stage-1')]
    await world.feed(0, FAULT - 3)
    await world.settle([scorer], [former])
    // It hangs in the middle of a transaction, as a process does that is stopped.
    let wake = () => {}
    const hangs = new Promise<void>(done => {
      wake = done
    })
    const [held] = former.partitions
    const take = held.take.bind(held)
    let isHanging = false
    held.take = async (messages, end) => {
      isHanging = true
      await hangs
      return take(messages, end)
    }
    await world.feed(FAULT - 3)
    await untilTrue(() => isHanging)
    await world.log.expire('stage', 'stage-1')
    const present = await world.stage('stage-2')
    await world.settle([scorer], [present])
    wake()
    await untilTrue(() => former.partitions.length === 0)
    await world.settle([scorer], [present])
    const told = world.told()
    expect(new Set(told.map(one => one.id)).size).toBe(told.length)
    expect(told.map(one => one.type)).toEqual(expect.arrayContaining(['opened', 'resolved']))
    const ids = world.record().map(line => line.id)
    expect(new Set(ids).size).toBe(ids.length)
  })

  it('goes on while Redis is away, and saves and shows when it is back', async () => {
    world = new FleetWorld({ samples: 1 })
    const [scorer, stage] = [await world.scorer(), await world.stage()]
    await untilTrue(() => stage.partitions.length === 1)
    const away = () => Promise.reject(new ForeshockError('FS_IO', 'Redis is away'))
    const publish = vi.spyOn(world.board, 'publish').mockImplementation(away)
    vi.spyOn(world.directory, 'announce').mockImplementation(away)
    const save = vi.spyOn(stage.partitions[0], 'save').mockImplementation(away)
    await world.feed()
    await world.settle([scorer], [stage])
    await stage.tick()
    expect(world.told().length).toBeGreaterThan(1)
    expect(world.log.committed('stage').size).toBe(0)
    publish.mockRestore()
    save.mockRestore()
    world.nowMs += 120_000
    await stage.tick()
    await untilTrue(async () => (await world.board.list()).length === 1)
    await untilTrue(() => world.log.committed('stage').get(0) === world.log.topic(TOPICS.anomalies)[0].length)
  })
})
