import { type Agent, request } from 'node:http'

const HEADERS = {
  'content-type': 'application/x-protobuf',
  'content-encoding': 'snappy',
  'x-prometheus-remote-write-version': '0.1.0',
}

export interface Answer {
  readonly status: number
  readonly text: string
}

/** Posts one remote-write body; rejects when no answer comes. */
export function post(target: URL, agent: Agent, body: Uint8Array): Promise<Answer> {
  return new Promise((done, failed) => {
    const headers = { ...HEADERS, 'content-length': body.length }
    const asked = request(target, { method: 'POST', agent, headers }, answer => {
      const chunks: Buffer[] = []
      answer.on('data', chunk => chunks.push(chunk))
      answer.on('end', () =>
        done({ status: answer.statusCode ?? 0, text: Buffer.concat(chunks).toString('utf8') }),
      )
      answer.on('error', failed)
    })
    asked.on('error', failed)
    asked.end(body)
  })
}
