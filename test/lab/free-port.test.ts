// Shows that a port is free, is never given twice, and is none that the system gives to connections by itself; a port that is
// taken is left out.
import { createServer } from 'node:net'
import { expect, it } from 'vitest'
import { freePort } from '../../src/lab/free-port.ts'

const listening = (port: number) =>
  new Promise<{ close(): void }>((done, failed) => {
    const server = createServer()
    server.once('error', failed)
    server.listen(port, '127.0.0.1', () => done(server))
  })

it('gives ports to listen on, each once, outside of those of connections', async () => {
  const ports = await Promise.all(Array.from({ length: 40 }, freePort))
  expect(new Set(ports).size).toBe(40)
  expect(Math.min(...ports)).toBeGreaterThanOrEqual(12_000)
  expect(Math.max(...ports)).toBeLessThan(32_000)
  const servers = await Promise.all(ports.map(listening))
  for (const server of servers) server.close()
})

it('leaves out what is taken', async () => {
  const first = await freePort()
  const taken = await Promise.all([first + 1, first + 2].map(port => listening(port).catch(() => undefined)))
  expect(await freePort()).toBeGreaterThan(first + 2)
  for (const server of taken) server?.close()
})
