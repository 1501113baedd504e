// Bodies of the hot routes over a real socket: every one arrives whole however it was sent and however many are under way,
// although memory is lent again; what is too long is refused, and a sender that leaves in the middle harms nobody.
import { once } from 'node:events'
import { request } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import fastify from 'fastify'
import { afterEach, describe, expect, it } from 'vitest'
import { BodyMemory } from '../../src/serve/body-memory.ts'
import { BodyRoom } from '../../src/serve/body-room.ts'
import { takeBytes } from '../../src/serve/take-bodies.ts'

const LIMIT = 200_000
const open: { close(): Promise<unknown> }[] = []
afterEach(async () => {
  for (const one of open.splice(0)) await one.close()
})

/** Answers with the sum of a body's bytes, after looking at it again a while later. */
async function service(memory: BodyMemory, room = new BodyRoom(1e9)): Promise<number> {
  const app = fastify()
  open.push(app)
  takeBytes(app, { bytesMax: LIMIT, room, memory })
  app.post('/', async ({ body }) => {
    const bytes = body as Buffer
    const before = sum(bytes)
    await pause(bytes.length % 7)
    const after = sum(bytes)
    memory.give(bytes)
    return { before, after, length: bytes.length }
  })
  await app.listen({ port: 0, host: '127.0.0.1' })
  return (app.server.address() as AddressInfo).port
}

const sum = (bytes: Uint8Array): number => bytes.reduce((all, byte) => all + byte, 0)

async function post(port: number, pieces: readonly Buffer[], chunked: boolean) {
  const length = pieces.reduce((all, piece) => all + piece.length, 0)
  const headers = { 'content-type': 'a/b', ...(chunked ? {} : { 'content-length': length }) }
  const asked = request({ port, host: '127.0.0.1', method: 'POST', headers })
  const answered = once(asked, 'response')
  for (const piece of pieces) {
    asked.write(piece)
    await pause(1)
  }
  asked.end()
  const [answer] = await answered
  let text = ''
  for await (const chunk of answer) text += chunk
  return { status: answer.statusCode as number, body: JSON.parse(text) }
}

describe('bodies of the hot routes', () => {
  it('arrive whole, many at a time, in pieces, with a length and without', async () => {
    const memory = new BodyMemory()
    const port = await service(memory)
    for (let round = 0; round < 3; round++) {
      const sent = Array.from({ length: 24 }, (_, i) => {
        const pieces = [1 + 997 * i, 50_000, i].map(length => Buffer.alloc(length, 1 + ((i + round) % 250)))
        return { pieces, sum: pieces.reduce((all, piece) => all + sum(piece), 0) }
      })
      const got = await Promise.all(sent.map(({ pieces }, i) => post(port, pieces, i % 2 === 0)))
      for (const [i, { status, body }] of got.entries()) {
        expect(status).toBe(200)
        expect(body).toMatchObject({ before: sent[i].sum, after: sent[i].sum })
      }
    }
    expect(memory.idleBytes).toBeGreaterThan(0)
  })

  it('are refused when they are too long, announced or not', async () => {
    const port = await service(new BodyMemory())
    const long = Buffer.alloc(LIMIT + 1)
    for (const chunked of [false, true]) {
      const { status, body } = await post(port, [long], chunked).catch(() => ({
        status: 413,
        body: undefined,
      }))
      expect(status).toBe(413)
      if (body) expect(body.code).toBe('FST_ERR_CTP_BODY_TOO_LARGE')
    }
    expect((await post(port, [Buffer.alloc(LIMIT, 1)], false)).body.length).toBe(LIMIT)
  })

  it('may end before they are whole: the memory is lent again, and others are answered', async () => {
    const memory = new BodyMemory()
    const port = await service(memory)
    const socket = connect(port, '127.0.0.1')
    socket.write('POST / HTTP/1.1\r\nhost: x\r\ncontent-type: a/b\r\ncontent-length: 70000\r\n\r\nhalf')
    await pause(50)
    socket.destroy()
    for (let tries = 0; memory.idleBytes === 0 && tries < 100; tries++) await pause(10)
    expect(memory.idleBytes).toBe(131_072)
    expect((await post(port, [Buffer.alloc(70_000, 2)], false)).body).toMatchObject({ before: 140_000 })
  })

  it('are given up where too many are on their way, the oldest first, with a length and without', async () => {
    const room = new BodyRoom(120_000)
    const memory = new BodyMemory()
    const port = await service(memory, room)
    const body = Buffer.alloc(70_000, 1)
    for (const head of ['content-length: 70000\r\n\r\n', 'transfer-encoding: chunked\r\n\r\n11170\r\n']) {
      const socket = connect(port, '127.0.0.1')
      let told = ''
      socket.on('data', chunk => {
        told += chunk
      })
      socket.write(`POST / HTTP/1.1\r\nhost: x\r\ncontent-type: a/b\r\n${head}`)
      socket.write(body.subarray(0, 69_999))
      await until(() => room.bytes >= 69_999)
      expect((await post(port, [Buffer.alloc(20_000, 1)], true)).body.length).toBe(20_000)
      for (const chunked of [false, true])
        expect((await post(port, [body], chunked)).body).toMatchObject({ before: 70_000, length: 70_000 })
      await until(() => told.includes('FS_OVERLOADED'))
      expect(told).toMatch(/ bytes of bodies are on their way, and none was it for longer than this one/)
      expect(room.bytes).toBe(0)
      socket.destroy()
      expect((await post(port, [body], false)).body.length).toBe(70_000)
    }
    expect(room.bytes).toBe(0)
  })
})

async function until(isSo: () => boolean): Promise<void> {
  for (let tries = 0; tries < 500 && !isSo(); tries++) await pause(10)
  expect(isSo()).toBe(true)
}
