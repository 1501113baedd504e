import { Agent, request } from 'node:http'

/** The answer of a service called; a refused connection or a timeout is an answer too, of status 0. */
export interface Answer {
  /** 0 when there was none. */
  readonly status: number
  readonly body: string
}

const agent = new Agent({ keepAlive: true, maxSockets: 512, maxFreeSockets: 64 })

/** One HTTP exchange with a bounded wait over a kept-alive connection. Never rejects. */
export async function exchange(
  url: string,
  body: string | undefined,
  timeoutMs: number,
  headers: Readonly<Record<string, string>> = {},
): Promise<Answer> {
  const first = await attempt(url, body, timeoutMs, headers)
  // The peer may close an idle connection in the very moment in which it is used again: that is no failure.
  return first === 'stale' ? lastAttempt(url, body, timeoutMs, headers) : first
}

async function lastAttempt(
  url: string,
  body: string | undefined,
  timeoutMs: number,
  headers: Readonly<Record<string, string>>,
): Promise<Answer> {
  const answer = await attempt(url, body, timeoutMs, headers)
  return answer === 'stale' ? { status: 0, body: 'connection reset' } : answer
}

function attempt(
  url: string,
  body: string | undefined,
  timeoutMs: number,
  headers: Readonly<Record<string, string>>,
): Promise<Answer | 'stale'> {
  return new Promise(done => {
    const outgoing = request(url, {
      agent,
      method: body === undefined ? 'GET' : 'POST',
      headers: body === undefined ? headers : { ...headers, 'content-length': Buffer.byteLength(body) },
    })
    const timer = setTimeout(() => {
      outgoing.destroy()
      done({ status: 0, body: `no answer within ${timeoutMs} ms` })
    }, timeoutMs)
    const finish = (answer: Answer | 'stale') => {
      clearTimeout(timer)
      done(answer)
    }
    outgoing.on('error', (error: NodeJS.ErrnoException) => {
      const stale = outgoing.reusedSocket && (error.code === 'ECONNRESET' || error.code === 'EPIPE')
      finish(stale ? 'stale' : { status: 0, body: error.code ?? error.message })
    })
    outgoing.on('response', incoming => {
      const chunks: Buffer[] = []
      incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
      incoming.on('error', () => finish({ status: 0, body: 'connection lost' }))
      incoming.on('end', () =>
        finish({ status: incoming.statusCode ?? 0, body: Buffer.concat(chunks).toString('utf8') }),
      )
    })
    outgoing.end(body)
  })
}
