const KEY = 'foreshock-key'
const RETRY_MS_MIN = 1000
const RETRY_MS_MAX = 30_000

export function rememberKey(key) {
  sessionStorage.setItem(KEY, key)
}

function headers(more = {}) {
  const key = sessionStorage.getItem(KEY)
  return key === null ? more : { ...more, authorization: `Bearer ${key}` }
}

/** Thrown for answers other than 2xx; `status` is theirs. */
export class AnswerError extends Error {
  constructor(status, message) {
    super(message)
    this.status = status
  }
}

export async function ask(path) {
  const answer = await fetch(path, { headers: headers({ accept: 'application/json' }) })
  if (answer.ok) return answer.json()
  const problem = await answer.json().catch(() => ({}))
  throw new AnswerError(answer.status, problem.detail ?? `${path} answered ${answer.status}`)
}

/** Reads server-sent events by hand, because EventSource cannot send a key. */
async function readEvents(body, onEvent) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader()
  let rest = ''
  for (;;) {
    const { value, done } = await reader.read()
    if (done) return
    const blocks = (rest + value).split('\n\n')
    rest = blocks.pop()
    for (const block of blocks) {
      const event = { id: undefined, data: undefined }
      for (const line of block.split('\n')) {
        const at = line.indexOf(': ')
        if (at > 0) event[line.slice(0, at)] = line.slice(at + 2)
      }
      if (event.data !== undefined) onEvent(event)
    }
  }
}

/**
 * Listens for ever: comes back after each cut with the last id it saw, waiting longer after each failure.
 * `onState` hears 'live', 'lost' and 'refused'.
 */
export async function listen(onEvent, onState) {
  let lastId
  let waitMs = RETRY_MS_MIN
  for (;;) {
    try {
      const answer = await fetch('/api/events', {
        headers: headers(lastId === undefined ? {} : { 'last-event-id': lastId }),
      })
      if (answer.status === 401 || answer.status === 403) {
        onState('refused')
        return
      }
      if (!answer.ok) throw new AnswerError(answer.status, 'no events')
      waitMs = RETRY_MS_MIN
      onState('live')
      await readEvents(answer.body, event => {
        lastId = event.id ?? lastId
        onEvent(event)
      })
    } catch {
      // A cut connection and a refused one are the same to the reader: both are tried again.
    }
    onState('lost')
    await new Promise(resolve => setTimeout(resolve, waitMs))
    waitMs = Math.min(RETRY_MS_MAX, waitMs * 2)
  }
}
