// Shows what becomes of a real service when a thread that scores ends by itself in the middle of a fault: the process says so
// with what to do about it, ends at once with 1 instead of answering for what it cannot score, and the next start has lost nothing
// that was answered, since the journal holds it: the same disruption is open, and goes on. The thread is ended from within by a
// preloaded module on SIGUSR2, as nothing in the service ends one.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, describe, expect, it } from 'vitest'
import { disruptions } from './incident.ts'
import { type RunningService, remove, startForeshock, temporaryFolder, until } from './service.ts'
import { bodiesUntilNow, WORKERS_CONFIG } from './worker-world.ts'

/** Ends the first scoring thread: they are the ones that hold a port for cuts. */
const PRELOAD = `
import { syncBuiltinESMExports } from 'node:module'
import threads from 'node:worker_threads'
const started = []
const { Worker } = threads
threads.Worker = class extends Worker {
  constructor(file, options) {
    super(file, options)
    if (options?.workerData?.cutPort) started.push(this)
  }
}
syncBuiltinESMExports()
process.on('SIGUSR2', () => started[0].terminate())
`

const post = (url: string, body: string) =>
  fetch(`${url}/api/samples`, {
    method: 'POST',
    body,
    headers: { 'content-type': 'application/x-ndjson' },
  })
const open = (url: string) => disruptions(url, 'open')

describe('a service that loses a thread that scores', () => {
  const folder = temporaryFolder()
  let service: RunningService | undefined
  afterAll(async () => {
    await service?.kill()
    remove(folder)
  })

  it('ends with a word, and has lost nothing when it is started again', { timeout: 90_000 }, async () => {
    const preload = join(folder, 'ends-a-thread.mjs')
    writeFileSync(preload, PRELOAD)
    service = await startForeshock(WORKERS_CONFIG, folder, ['--import', pathToFileURL(preload).href])
    const bodies = bodiesUntilNow()
    for (const body of bodies.slice(0, 235)) expect((await post(service.url, body)).ok).toBe(true)
    const { url, child, logged } = service
    const found = await until('the fault is found', async () => {
      const items = await open(url)
      return items.length > 0 && items
    })
    const ended = new Promise<number | null>(done => child.once('exit', code => done(code)))
    child.kill('SIGUSR2')
    // Bodies go on coming: those that are answered are in the journal, the others are not answered, and sent again.
    let answered = 235
    for (const body of bodies.slice(235, 245)) {
      const answer = await post(url, body).catch(() => undefined)
      if (!answer?.ok) break
      answered++
    }
    expect(await ended).toBe(1)
    expect(logged()).toMatch(/worker 0 has ended: .*the next start reads from the journal what is not saved/s)

    service = await startForeshock(WORKERS_CONFIG, folder)
    expect((await open(service.url)).map(({ id }) => id)).toEqual([found[0].id])
    for (const body of bodies.slice(answered, 250)) expect((await post(service.url, body)).ok).toBe(true)
    expect((await open(service.url)).map(({ id }) => id)).toEqual([found[0].id])
    expect(await service.stop()).toBe(0)
  })
})
