// Who is ready is sent samples. Shows that a gateway is ready without Redis and PostgreSQL, takes samples and says what it lacks,
// and is not without Kafka; that a process which scores is not ready while Redis is away.
import { pino } from 'pino'
import { afterAll, afterEach, expect, it } from 'vitest'
import { parseConfig } from '../../src/config.ts'
import { ForeshockError } from '../../src/core/errors.ts'
import { startFleet } from '../../src/fleet.ts'
import type { Service } from '../../src/listening.ts'
import { remove, temporaryFolder } from '../e2e/service.ts'
import { inMemory, sharedMemory } from './memory-engines.ts'

const folder = temporaryFolder()
const services: Service[] = []
afterEach(async () => {
  for (const service of services.splice(0)) await service.stop()
})
afterAll(() => remove(folder))

/** A process for which the engines named are away. */
async function start(roles: readonly string[], away: readonly string[]): Promise<Service> {
  const shared = sharedMemory(2, 1)
  const engines = shared.engines()
  const isAway = async () => {
    throw new ForeshockError('FS_IO', 'away')
  }
  const probes = Object.fromEntries(
    ['Kafka', 'Redis', 'PostgreSQL'].map(name => [name, away.includes(name) ? isAway : async () => {}]),
  )
  const board = away.includes('Redis') ? { ...engines.board, list: isAway, shards: isAway } : engines.board
  const service = await startFleet(
    parseConfig({
      server: { port: 0, grpcPort: 'off' },
      data: { folder },
      cluster: inMemory(roles, roles.join(), 2, 1),
    }),
    {
      logger: pino({ level: 'silent' }),
      engines: { ...engines, board: board as typeof engines.board, probes },
    },
  )
  services.push(service)
  return service
}

async function readiness({ url }: Service): Promise<[status: number, why: string]> {
  const answer = await fetch(`${url}/readyz`)
  const { why } = (await answer.json()) as { why: readonly string[] }
  return [answer.status, why.join('; ')]
}

it('a gateway without Redis and PostgreSQL is ready, takes samples and says what it lacks', async () => {
  const gateway = await start(['gateway'], ['Redis', 'PostgreSQL'])
  const [status, why] = await readiness(gateway)
  expect(status).toBe(200)
  expect(why).toMatch(
    /Redis does not answer: away.*PostgreSQL does not answer: away.*the board cannot be read/,
  )
  const sent = await fetch(`${gateway.url}/api/samples`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-ndjson' },
    body: JSON.stringify({ time: Date.now(), metric: 'm', labels: { service: 'a' }, value: 1 }),
  })
  expect(sent.status).toBe(200)
})

it('a gateway without Kafka is not', async () => {
  const [status, why] = await readiness(await start(['gateway'], ['Kafka']))
  expect([status, why]).toEqual([503, 'Kafka does not answer: away'])
})

it('a scorer without Redis is not', async () => {
  const [status, why] = await readiness(await start(['scorer'], ['Redis']))
  expect([status, why]).toEqual([503, 'Redis does not answer: away'])
})
