import { STATUS_CODES } from 'node:http'
import type { Answer } from '../answer.ts'

let second = -1
let date = ''

/** `Date` as RFC 9110 writes it, made once a second. */
function dateNow(): string {
  const now = Math.floor(Date.now() / 1000)
  if (now !== second) {
    second = now
    date = new Date(now * 1000).toUTCString()
  }
  return date
}

/** An answer as it goes over the wire, latin1 where it is text; `keepAliveMs` of 0 ends the connection. */
export function answerBytes({ status, headers, body }: Answer, keepAliveMs: number): string | Buffer {
  let head = `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nx-content-type-options: nosniff\r\n`
  for (const [name, value] of headers) head += `${name}: ${value}\r\n`
  if (body !== undefined) head += `content-length: ${Buffer.byteLength(body)}\r\n`
  head += `Date: ${dateNow()}\r\n`
  head +=
    keepAliveMs === 0
      ? 'Connection: close\r\n\r\n'
      : `Connection: keep-alive\r\nKeep-Alive: timeout=${Math.floor(keepAliveMs / 1000)}\r\n\r\n`
  if (body === undefined) return head
  return Buffer.concat([Buffer.from(head, 'latin1'), typeof body === 'string' ? Buffer.from(body) : body])
}
