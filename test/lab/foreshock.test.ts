// Shows that the lab reads Foreshock's event stream as the standard says (any cut of the bytes gives the same events),
// drops what is no disruption event, resumes a cut stream from the last id, and posts changes as CloudEvents. The peer
// is a real HTTP server that speaks server-sent events.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import fc from 'fast-check'
import { afterEach, describe, expect, it } from 'vitest'
import { ForeshockClient, frames, readEvent, type SeenEvent } from '../../src/lab/foreshock.ts'

const OPENED = 'io.foreshock.disruption.opened.v1'
const body = (id: string) => JSON.stringify({ id, suspects: [], title: 'größer' })

async function* chunks(bytes: Uint8Array, cuts: readonly number[]): AsyncGenerator<Uint8Array> {
  let from = 0
  for (const cut of [...cuts.map(cut => cut % (bytes.length + 1)).sort((a, b) => a - b), bytes.length]) {
    yield bytes.subarray(from, cut)
    from = cut
  }
}

describe('the event stream', () => {
  it('gives the same events however its bytes are cut', async () => {
    const text = `retry: 2000\n: welcome\n\nid: a.1\nevent: ${OPENED}\ndata: ${body('a')}\n\n: beat\n\nid: b.1\r\nevent: other\r\ndata: one\r\ndata: two\r\n\r\n`
    const bytes = new TextEncoder().encode(text)
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(), { maxLength: 12 }), async cuts => {
        const seen = []
        for await (const frame of frames(chunks(bytes, cuts))) seen.push({ ...frame })
        expect(seen).toEqual([
          { id: 'a.1', event: OPENED, data: body('a') },
          { id: 'b.1', event: 'other', data: 'one\ntwo' },
        ])
      }),
    )
  })

  it('takes disruption events only', () => {
    expect(readEvent(OPENED, body('a'), 5)).toMatchObject({ type: 'opened', atMs: 5 })
    expect(readEvent('io.foreshock.anomaly.opened.v1', body('a'), 5)).toBeUndefined()
    expect(readEvent(OPENED, '{"id":', 5)).toBeUndefined()
    expect(readEvent(OPENED, 'null', 5)).toBeUndefined()
    expect(readEvent(OPENED, '{"id":7}', 5)).toBeUndefined()
  })
})

describe('the client', () => {
  const closers: (() => Promise<unknown>)[] = []
  afterEach(async () => {
    for (const close of closers.splice(0)) await close()
  })

  async function peer(answer: (request: IncomingMessage, response: ServerResponse) => void): Promise<string> {
    const server = createServer(answer)
    await new Promise<void>(done => server.listen(0, '127.0.0.1', done))
    closers.push(() => {
      server.closeAllConnections()
      return new Promise(done => server.close(done))
    })
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  }

  it('resumes a cut stream from the last event it saw', async () => {
    const resumedFrom: unknown[] = []
    const url = await peer((request, response) => {
      resumedFrom.push(request.headers['last-event-id'])
      const id = resumedFrom.length === 1 ? 'a' : 'b'
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.write(`id: ${id}.1\nevent: ${OPENED}\ndata: ${body(id)}\n\n`)
      if (resumedFrom.length === 1) setTimeout(() => response.destroy(), 50)
    })
    const client = new ForeshockClient(url)
    closers.unshift(() => client.close())
    const seen: string[] = []
    const both = new Promise<void>(done => {
      const take = ({ disruption }: SeenEvent) => {
        if (seen.push(disruption.id) === 2) done()
      }
      void client.follow(take)
    })
    await both
    expect(seen).toEqual(['a', 'b'])
    expect(resumedFrom).toEqual([undefined, 'a.1'])
  })

  it('says so when it is refused', async () => {
    const url = await peer((_request, response) => response.writeHead(401).end('{"title":"no key"}'))
    const client = new ForeshockClient(url)
    await expect(client.follow(() => undefined)).rejects.toThrow('401')
    await expect(client.announce({ entity: 'a', kind: 'deploy', ref: 'v1' })).rejects.toThrow('no key')
    await client.close()
  })

  it('announces a change as a CloudEvent, with the key', async () => {
    const seen: { type: unknown; key: unknown; event: Record<string, unknown> }[] = []
    const url = await peer((request, response) => {
      let text = ''
      request.on('data', (chunk: Buffer) => {
        text += chunk.toString()
      })
      request.on('end', () => {
        seen.push({
          type: request.headers['content-type'],
          key: request.headers.authorization,
          event: JSON.parse(text),
        })
        response.writeHead(202).end()
      })
    })
    const client = new ForeshockClient(`${url}/`, 'secret')
    await client.announce({ entity: 'search', kind: 'restart', ref: 'monthly', untilMs: 0 })
    await client.close()
    expect(seen[0]).toMatchObject({
      type: 'application/cloudevents+json',
      key: 'Bearer secret',
      event: {
        specversion: '1.0',
        subject: 'search',
        data: { entity: 'search', kind: 'restart', ref: 'monthly', until: '1970-01-01T00:00:00.000Z' },
      },
    })
  })
})
