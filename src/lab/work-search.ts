import { Failure, type Handler, type Surroundings } from './handler.ts'
import { seededRandom } from './random.ts'

/** Distinct queries that users ask. */
export const QUERIES = 400
/** Documents that a search without a cached answer reads through: some milliseconds of real CPU. */
const DOCUMENTS = 3000
const WORDS_PER_DOCUMENT = 16
const RESULTS = 20
/** Answers that the cache holds; the least lately written goes first. */
const CACHE_ENTRIES = 300

const WORDS = Array.from({ length: 600 }, (_, index) => `word${(index * 7919).toString(36)}`)

/** Asks the cache first, reads all documents when it has no answer, and then tells the cache. */
export function searchHandler(around: Surroundings): Handler {
  const documents = library()
  return async path => {
    const query = Number(new URL(path, 'http://lab').searchParams.get('q') ?? '0')
    const cached = await around.call('cache', `/entries/${query}`)
    if (cached.status === 200) return cached.body
    const answer = JSON.stringify(ranked(documents, query))
    if (cached.status === 404) await around.call('cache', `/entries/${query}`, answer)
    return answer
  }
}

export function cacheHandler(): Handler {
  const entries = new Map<string, string>()
  return async (path, body) => {
    const key = path.slice('/entries/'.length)
    if (body === '') {
      const found = entries.get(key)
      if (found === undefined) throw new Failure(404, 'not cached')
      return found
    }
    entries.delete(key)
    if (entries.size >= CACHE_ENTRIES) {
      const oldest = entries.keys().next().value
      if (oldest !== undefined) entries.delete(oldest)
    }
    entries.set(key, body)
    return '{}'
  }
}

function library(): string[] {
  const random = seededRandom(2)
  return Array.from({ length: DOCUMENTS }, () =>
    Array.from({ length: WORDS_PER_DOCUMENT }, () => WORDS[Math.floor(random() * WORDS.length)]).join(' '),
  )
}

function ranked(documents: readonly string[], query: number): { document: number; score: number }[] {
  const terms = [0, 1, 2].map(part => WORDS[(query * 13 + part * 101) % WORDS.length])
  const hits: { document: number; score: number }[] = []
  for (const [document, text] of documents.entries()) {
    let score = 0
    for (const word of text.split(' ')) if (terms.includes(word)) score++
    if (score > 0) hits.push({ document, score })
  }
  return hits.sort((a, b) => b.score - a.score || a.document - b.document).slice(0, RESULTS)
}
