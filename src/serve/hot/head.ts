import { INGEST_PATHS, type IngestPath } from '../ingest-answers.ts'

/** The head of a request that brings samples, as far as it matters. */
export interface HotHead {
  readonly path: IngestPath
  /** Name or address in `Host`, without the port. */
  readonly hostname: string
  readonly contentType: string
  readonly contentEncoding: string | undefined
  readonly authorization: string | undefined
  readonly apiKey: string | undefined
  readonly tenant: string | undefined
  readonly bodyBytes: number
  /** Where the digits of `Content-Length` stand in the head. */
  readonly lengthFrom: number
  readonly lengthTo: number
}

/** Longer heads go through the router. Characters. */
const HEAD_CHARS_MAX = 8192
/** Digits of a length that are believed: under a petabyte. */
const LENGTH_DIGITS_MAX = 15

const START: ReadonlyMap<string, IngestPath> = new Map(
  INGEST_PATHS.map(path => [`POST ${path} HTTP/1.1`, path]),
)
/** RFC 9110: a token, a colon, and what can be printed in ASCII, spaces around it left out. */
const FIELD = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*((?:[\x21-\x7e](?:[\t\x20-\x7e]*[\x21-\x7e])?)?)[ \t]*$/
const HOST = /^(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::\d{1,5})?$/i
/** Media types whose parameters need no thought. */
const MEDIA_TYPE = /^[a-z0-9.+-]+\/[a-z0-9.+-]+(?: ?; ?[a-z0-9-]+=(?:"[a-z0-9._-]+"|[a-z0-9._-]+))*$/i

/** What is read here, each at most once. */
const READ: ReadonlySet<string> = new Set([
  'host',
  'content-length',
  'content-type',
  'content-encoding',
  'authorization',
  'x-api-key',
  'foreshock-tenant',
  'connection',
])
/** What changes how a request is read or answered: such requests go through the router. */
const CHANGES_READING: ReadonlySet<string> = new Set([
  'accept-version',
  'expect',
  'http2-settings',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
])

/**
 * The head of a plain request to an ingest route, given up to and with its empty line; undefined when it is anything else.
 * No parser of HTTP: it knows one narrow form, the one that senders of samples use, and whatever deviates from it in a
 * single character is for Node's parser to judge. So there is no request that the two would read differently.
 */
export function readHead(text: string): HotHead | undefined {
  if (text.length > HEAD_CHARS_MAX || !text.endsWith('\r\n\r\n')) return undefined
  const lines = text.slice(0, -4).split('\r\n')
  const path = START.get(lines[0])
  if (path === undefined) return undefined
  const fields = new Map<string, string>()
  let at = lines[0].length + 2
  let lengthTo = 0
  for (const line of lines.slice(1)) {
    const field = FIELD.exec(line)
    if (field === null) return undefined
    const name = field[1].toLowerCase()
    if (CHANGES_READING.has(name)) return undefined
    if (READ.has(name)) {
      if (fields.has(name)) return undefined
      fields.set(name, field[2])
    }
    if (name === 'content-length') lengthTo = at + line.trimEnd().length
    at += line.length + 2
  }
  return headOf(path, fields, lengthTo)
}

function headOf(
  path: IngestPath,
  fields: ReadonlyMap<string, string>,
  lengthTo: number,
): HotHead | undefined {
  const hostname = HOST.exec(fields.get('host') ?? '')?.[1]
  const contentType = fields.get('content-type') ?? ''
  const length = fields.get('content-length') ?? ''
  const connection = fields.get('connection') ?? 'keep-alive'
  if (hostname === undefined || !MEDIA_TYPE.test(contentType) || !isLength(length)) return undefined
  if (connection.toLowerCase() !== 'keep-alive') return undefined
  return {
    path,
    hostname,
    contentType,
    contentEncoding: fields.get('content-encoding'),
    authorization: fields.get('authorization'),
    apiKey: fields.get('x-api-key'),
    tenant: fields.get('foreshock-tenant'),
    bodyBytes: Number(length),
    lengthFrom: lengthTo - length.length,
    lengthTo,
  }
}

function isLength(text: string): boolean {
  return text.length > 0 && text.length <= LENGTH_DIGITS_MAX && /^\d+$/.test(text)
}

/**
 * Bytes of the body that a head announces, when it differs from one that was read before in nothing but that number; else
 * undefined. Senders repeat themselves: their heads are not read anew.
 */
export function repeatedLength(text: string, { before, after }: KnownHead): number | undefined {
  if (text.length <= before.length + after.length) return undefined
  if (!text.startsWith(before) || !text.endsWith(after)) return undefined
  const digits = text.slice(before.length, text.length - after.length)
  return isLength(digits) ? Number(digits) : undefined
}

/** A head's text around its length. */
export interface KnownHead {
  readonly before: string
  readonly after: string
}

export function knownHead(text: string, { lengthFrom, lengthTo }: HotHead): KnownHead {
  return { before: text.slice(0, lengthFrom), after: text.slice(lengthTo) }
}
