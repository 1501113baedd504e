import { type Command, Option } from 'commander'
import { ForeshockError } from '../core/errors.ts'

/** How a command reaches the running service. */
export interface ServiceFlags {
  readonly url: string
  readonly key?: string
}

/** Answers that say the request was wrong, not that the service is. */
const WRONG: ReadonlySet<number> = new Set([400, 404, 409, 413, 415, 422])

/** Adds the options of commands that talk to a running service and print what it says. */
export function addServiceOptions(command: Command, scope: string): Command {
  return addServiceAddress(command, scope).option('--json', 'print JSON')
}

/** Where the running service is, and as whom it is asked. */
export function addServiceAddress(command: Command, scope: string): Command {
  return (
    command
      .addOption(
        new Option('--url <url>', 'the running service')
          .env('FORESHOCK_URL')
          .default('http://127.0.0.1:4318'),
      )
      // Better in the environment: what a command was called with is seen by all who use the machine.
      .addOption(new Option('--key <key>', `API key with the scope ${scope}`).env('FORESHOCK_KEY'))
  )
}

/**
 * Asks the running service; `body` goes as JSON, bytes as the gzip that they are. Throws FS_INPUT_INVALID with the service's own words when it refuses
 * what was asked, FS_IO when it cannot be reached or fails.
 */
export async function askService<T>(
  { url: base, key }: ServiceFlags,
  method: 'GET' | 'POST' | 'PUT' | 'DELETE',
  path: string,
  body?: unknown,
): Promise<T> {
  const isBytes = body instanceof Uint8Array
  const sent = isBytes ? new Uint8Array(body) : JSON.stringify(body)
  const type = isBytes ? 'application/gzip' : 'application/json'
  const answer = await askRaw(
    { url: base, ...(key === undefined ? {} : { key }) },
    path,
    body === undefined ? { method } : { method, headers: { 'content-type': type }, body: sent },
  )
  return answer.status === 204 ? (undefined as T) : ((await answer.json()) as T)
}

/** As `askService`, and hands out the answer as it comes. */
export async function askRaw(
  { url: base, key }: ServiceFlags,
  path: string,
  init: { method?: string; headers?: Record<string, string>; body?: string | Uint8Array<ArrayBuffer> } = {},
): Promise<Response> {
  const url = urlOf(base, path)
  const headers = { ...init.headers, ...(key === undefined ? {} : { authorization: `Bearer ${key}` }) }
  const answer = await fetch(url, { ...init, headers }).catch(error => {
    const { cause } = error as { cause?: { message?: string } }
    throw new ForeshockError('FS_IO', `${url.origin} does not answer (${cause?.message ?? error})`)
  })
  if (answer.ok) return answer
  const problem = (await answer.json().catch(() => ({}))) as { detail?: string }
  const text = `${url.origin}: ${answer.status} ${problem.detail ?? ''}`.trim()
  throw new ForeshockError(WRONG.has(answer.status) ? 'FS_INPUT_INVALID' : 'FS_IO', text)
}

function urlOf(base: string, path: string): URL {
  if (/^https?:\/\//i.test(base) && URL.canParse(path, base)) return new URL(path, base)
  throw new ForeshockError('FS_INPUT_INVALID', `--url ${base}: write it as http://host:port`)
}
