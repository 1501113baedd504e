// Shows that what is found of a tenant is the same, byte for byte, with and without another beside it that calls its services
// the same and has its own trouble in others of them: in one process from the samples on, and in a fleet where both lie in
// the same partitions. The recording is examples/fleet.csv.
import { afterEach, describe, expect, it } from 'vitest'
import { type Beside, embeddedEvents, FleetWorld } from './fleet-world.ts'

let world: FleetWorld | undefined
afterEach(() => world?.close())

const decoder = new TextDecoder()
const encoder = new TextEncoder()

/** The same recording with its services called each by the next one's name: another is slow, and calls go elsewhere. */
function renamed(names: readonly string[]): (body: Uint8Array) => Uint8Array {
  const next = new Map(names.map((name, i) => [name, names[(i + 1) % names.length]]))
  return body =>
    encoder.encode(
      decoder
        .decode(body)
        .split('\n')
        .map(line => {
          const sample = JSON.parse(line)
          const service = next.get(sample.labels.service) ?? sample.labels.service
          return JSON.stringify({ ...sample, labels: { ...sample.labels, service } })
        })
        .join('\n'),
    )
}

const SERVICES = ['checkout', 'edge', 'inventory', 'payments', 'search', 'store']
const beside: Beside = { globex: renamed(SERVICES), aaa: body => body }

const plain = (value: unknown) => JSON.parse(JSON.stringify(value))

describe('a tenant beside others', () => {
  it('is told the same as alone: in one process and in a fleet', { timeout: 60_000 }, async () => {
    const alone = (await embeddedEvents()).sort((a, b) => (a.id < b.id ? -1 : 1))
    expect(alone.length).toBeGreaterThan(1)
    const together = await embeddedEvents(beside)
    const tenants = together.map(one => one.disruption.tenant)
    expect(new Set(tenants)).toEqual(new Set(['default', 'globex', 'aaa']))
    const own = together.filter(one => one.disruption.tenant === 'default')
    expect(own.sort((a, b) => (a.id < b.id ? -1 : 1))).toEqual(alone)
    // The one that says the same is told the same, under names of its own.
    const twin = together.filter(one => one.disruption.tenant === 'aaa')
    expect(twin.map(one => one.disruption.title).sort()).toEqual(own.map(one => one.disruption.title).sort())
    const causes = (tenant: string) =>
      together.find(one => one.disruption.tenant === tenant && one.type === 'resolved')?.disruption
        .suspects[0].entity
    expect(causes('globex')).not.toBe(causes('default'))

    world = new FleetWorld({ samples: 3, beside })
    // All is there before anybody reads: no tick of a clock comes in between, however busy the machine is.
    await world.feed()
    const [scorer, stage] = [await world.scorer(), await world.stage()]
    await world.settle([scorer], [stage])
    expect(world.failures).toEqual([])
    const told = world.told()
    expect(new Set(told.map(one => one.disruption.tenant)).size).toBe(3)
    expect(told.filter(one => one.disruption.tenant === 'default')).toEqual(
      plain(alone.map(({ id, type, disruption }) => ({ id, type, disruption }))),
    )
  })
})
