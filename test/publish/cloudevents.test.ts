// The structured and binary forms follow CloudEvents 1.0, and a fitted event is never larger than asked.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { binaryHeaders, cloudEvent, fittedJson } from '../../src/publish/cloudevents.ts'
import { BASE_MS, event, evidence } from '../store/samples.ts'

describe('CloudEvents', () => {
  it('has the types of the contract', () => {
    for (const type of ['opened', 'updated', 'resolved', 'retracted'] as const) {
      expect(cloudEvent(event('dis_a', 2, type), 'https://here.example/').type).toBe(
        `io.foreshock.disruption.${type}.v1`,
      )
    }
  })

  it('says the same in headers', () => {
    const one = event('dis_ä "x"')
    const expected = {
      'content-type': 'application/json',
      'ce-specversion': '1.0',
      'ce-id': 'dis_%C3%A4%20%22x%22.1',
      'ce-source': 'https://here.example/',
      'ce-type': 'io.foreshock.disruption.opened.v1',
      'ce-subject': 'dis_%C3%A4%20%22x%22',
      'ce-time': new Date(BASE_MS + 1000).toISOString(),
      'ce-datacontenttype': undefined,
    }
    const headers = binaryHeaders(one, 'https://here.example/')
    expect({ ...headers, 'ce-datacontenttype': undefined }).toEqual(expected)
    expect(Object.keys(headers)).not.toContain('ce-datacontenttype')
    expect(new Headers(headers).get('ce-id')).toBe(expected['ce-id'])
    expect(binaryHeaders(one, 's', 'ce_').ce_id).toBe('dis_ä "x".1')
  })

  it('fits whatever it is given', () => {
    const words = fc.array(fc.string({ maxLength: 500, unit: 'grapheme' }), { maxLength: 30 })
    fc.assert(
      fc.property(fc.nat(120), words, fc.string({ maxLength: 5000 }), (count, why, title) => {
        const one = event('dis_a', 1, 'opened', {
          evidence: Array.from({ length: count }, (_, i) => evidence(i)),
          why,
          title,
        })
        const text = fittedJson(cloudEvent(one, 's'), 20_000)
        expect(Buffer.byteLength(text)).toBeLessThanOrEqual(20_000)
        const read = JSON.parse(text)
        expect(read.data.evidence.length + (read.evidenceomitted ?? 0)).toBe(count)
        expect(read.data.id).toBe('dis_a')
      }),
    )
  })
})
