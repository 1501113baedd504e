/** A plain reader of an event stream (WHATWG HTML, section 9.2.6), with a connection that can be cut. */
import { type ClientRequest, request } from 'node:http'

export interface StreamEvent {
  readonly id: string
  readonly type: string
  readonly data: string
}

export class SseClient {
  /** Every event in the order it came, those of earlier connections first. */
  readonly events: StreamEvent[] = []
  retryMs: number | undefined
  #request: ClientRequest | undefined

  get lastEventId(): string | undefined {
    return this.events.at(-1)?.id
  }

  /** Connects, from where it left off; resolves when the head of the answer is there. */
  connect(url: string, more: Readonly<Record<string, string>> = {}): Promise<void> {
    const last = this.lastEventId
    const headers = {
      accept: 'text/event-stream',
      ...more,
      ...(last === undefined ? {} : { 'last-event-id': last }),
    }
    return new Promise((connected, failed) => {
      const asked = request(`${url}/api/events`, { headers, agent: false }, answer => {
        if (answer.statusCode !== 200) return failed(new Error(`answered ${answer.statusCode}`))
        answer.setEncoding('utf8')
        let rest = ''
        answer.on('data', (chunk: string) => {
          const blocks = (rest + chunk).split('\n\n')
          rest = blocks.pop() as string
          for (const block of blocks) this.#take(block)
        })
        answer.on('error', () => {})
        connected()
      })
      asked.on('error', failed)
      asked.end()
      this.#request = asked
    })
  }

  /** Destroys the socket, as a broken network would. */
  cut(): void {
    this.#request?.on('error', () => {})
    this.#request?.destroy()
  }

  #take(block: string): void {
    const fields = new Map<string, string>()
    for (const line of block.split('\n')) {
      if (line.startsWith(':')) continue
      const colon = line.indexOf(':')
      fields.set(line.slice(0, colon), line.slice(colon + 1).replace(/^ /, ''))
    }
    const retry = fields.get('retry')
    if (retry !== undefined) this.retryMs = Number(retry)
    const data = fields.get('data')
    if (data === undefined) return
    this.events.push({ id: fields.get('id') ?? '', type: fields.get('event') ?? 'message', data })
  }
}
