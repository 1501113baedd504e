import { randomInt } from 'node:crypto'
import { createServer } from 'node:net'

/**
 * Ports below those that Linux (from 32,768), macOS and Windows (from 49,152) give to connections by themselves: a port from
 * among theirs, free when it is asked for, may be a connection's by the time that a process which takes seconds to start, or
 * starts again, listens on it.
 */
const FIRST = 12_000
const LAST = 32_000
/** So many taken ones in a row, and something else is wrong. */
const TRIES_MAX = 200

/** Never the same twice from one process; where it begins is chance, so that processes do not ask for the same ones. */
let next = randomInt(FIRST, LAST)

/** A port of 127.0.0.1 on which nobody listens. */
export async function freePort(): Promise<number> {
  let problem: unknown
  for (let tries = 0; tries < TRIES_MAX; tries++) {
    const port = next
    next = next + 1 < LAST ? next + 1 : FIRST
    const server = createServer()
    try {
      await new Promise<void>((done, failed) => {
        server.once('error', failed)
        server.listen(port, '127.0.0.1', done)
      })
    } catch (error) {
      problem = error
      continue
    }
    await new Promise(done => server.close(done))
    return port
  }
  throw new Error(`no free port: ${problem instanceof Error ? problem.message : String(problem)}`)
}
