// Shows that a sender always gets to read an answer that was given before its body had arrived: the rest of the body is
// read and dropped for a while, and who never ends is cut. Over real sockets, whose buffers the bodies overfill.
import { execFile } from 'node:child_process'
import { connect } from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { listen, type Running, world } from './world.ts'

const BODY_BYTES = 4 * 1_048_576
/** A sender of its own process, since one that shares the service's thread never writes while it answers. */
const SENDER = `
  const [url, type, chunked] = process.argv.slice(1)
  const seen = {}
  for (let i = 0; i < 60; i++) {
    const bytes = new Uint8Array(${BODY_BYTES})
    const body = chunked === 'chunked' ? new Blob([bytes]).stream() : bytes
    const sent = { method: 'POST', headers: { 'content-type': type }, body, duplex: 'half' }
    const status = await fetch(url, sent).then(async a => (await a.text(), a.status)).catch(e => e.cause?.code ?? String(e))
    seen[status] = (seen[status] ?? 0) + 1
  }
  process.stdout.write(JSON.stringify(seen))
`
let server: Running
beforeAll(async () => {
  server = await listen(world().deps, { bodyBytesMax: 100_000 })
})
afterAll(() => server.close())

/** How often each status came back, or the code of the error that came instead. */
async function send(path: string, type: string, framing: string): Promise<Record<string, number>> {
  const { stdout } = await promisify(execFile)(process.execPath, [
    '--input-type=module',
    '--eval',
    SENDER,
    server.url + path,
    type,
    framing,
  ])
  return JSON.parse(stdout)
}

describe('an answer that comes before the body', () => {
  it.each([
    ['/api/changes', 'application/cloudevents+json', 'whole'],
    ['/api/samples', 'application/x-ndjson', 'whole'],
    ['/api/samples', 'application/x-ndjson', 'chunked'],
  ])('reaches the sender: %s %s %s', { timeout: 30_000 }, async (path, type, framing) => {
    expect(await send(path, type, framing)).toEqual({ 413: 60 })
  })

  it('does not make the service read for ever', { timeout: 20_000 }, async () => {
    const { hostname, port } = new URL(server.url)
    const socket = connect(Number(port), hostname)
    let text = ''
    let closed = false
    socket.on('data', part => {
      text += part
    })
    socket.on('close', () => {
      closed = true
    })
    socket.on('error', () => {})
    socket.write(
      'POST /api/samples HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/x-ndjson\r\ncontent-length: 1000000000\r\n\r\n',
    )
    const started = Date.now()
    while (!closed && Date.now() - started < 15_000) {
      if (socket.writable) socket.write('x'.repeat(1000))
      await wait(50)
    }
    expect(text).toMatch(/^HTTP\/1\.1 413 /)
    expect(closed).toBe(true)
  })
})
