// JSON that nests too deep is told before it is parsed: at the same depth for lists, objects and both, and never by what stands in
// texts.
import { describe, expect, it } from 'vitest'
import { JSON_DEPTH_MAX, nestsTooDeep, parseJson } from '../../src/core/json-depth.ts'

const bytes = (text: string) => new TextEncoder().encode(text)
const among = (text: string) => bytes(`[0,[1],${text},{}]`)

describe('nesting of JSON', () => {
  it('is too deep beyond the limit, of lists, of objects, and of both', () => {
    for (const [open, close] of [
      ['[', ']'],
      ['{"a":', '}'],
      ['[{"b":', '}]'],
    ]) {
      const each = open.match(/[[{]/g)?.length ?? 0
      const most = Math.floor((JSON_DEPTH_MAX - 1) / each)
      const nested = (n: number) => among(open.repeat(n) + 0 + close.repeat(n))
      expect(JSON.parse(new TextDecoder().decode(nested(most)))).toHaveLength(4)
      expect(nestsTooDeep(nested(most))).toBe(false)
      expect(nestsTooDeep(nested(most + 1))).toBe(true)
    }
    expect(nestsTooDeep(bytes('['.repeat(1e6)))).toBe(true)
  })

  it('is not what stands in texts, after whatever backslashes', () => {
    const text = '['.repeat(JSON_DEPTH_MAX + 1)
    for (const inside of [text, `\\"${text}`, `\\\\\\"${text}`, `${text}\\\\`])
      expect(nestsTooDeep(among(`"${inside}",[]`))).toBe(false)
    expect(nestsTooDeep(among(`"\\\\",${text}${']'.repeat(JSON_DEPTH_MAX + 1)}`))).toBe(true)
  })
})

describe('JSON in bytes', () => {
  it('is a value, or what is wrong with it', () => {
    expect(parseJson(bytes('[1]'))).toEqual({ value: [1] })
    expect(parseJson(bytes('null'))).toEqual({ value: null })
    expect(parseJson(bytes(''))).toMatch(/^is no JSON: /)
    expect(parseJson(bytes('['.repeat(JSON_DEPTH_MAX + 1)))).toBe(`nests deeper than ${JSON_DEPTH_MAX}`)
    const broken = Uint8Array.of(0x22, 0xff, 0x22)
    expect(parseJson(broken)).toMatch(/^is no JSON: /)
    expect(parseJson(broken, new TextDecoder())).toEqual({ value: '\ufffd' })
  })
})
