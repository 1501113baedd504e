// Addresses that are not public hosts are known as such in every notation, and Retry-After is read in both forms.
import { describe, expect, it } from 'vitest'
import { retryAfterMs } from '../../src/publish/post.ts'
import { checkedTarget, isSpecialAddress } from '../../src/publish/target.ts'

describe('targets', () => {
  it('knows special addresses', () => {
    const special =
      '0.0.0.0 10.1.2.3 100.64.0.1 127.0.0.1 127.255.255.255 169.254.169.254 172.16.0.1 172.31.255.255 192.168.1.1 ' +
      '192.0.2.1 198.18.0.1 224.0.0.1 255.255.255.255 :: ::1 ::ffff:127.0.0.1 ::ffff:8.8.8.8 64:ff9b::7f00:1 ' +
      'fc00::1 fd12::1 fe80::1 ff02::1 2001::1 2001:db8::1 2002:7f00:1:: 100::1 nonsense'
    for (const address of special.split(' ')) expect(isSpecialAddress(address), address).toBe(true)
    const open =
      '1.1.1.1 8.8.8.8 11.0.0.1 172.15.0.1 172.32.0.1 192.167.0.1 223.255.255.255 2606:4700::1111 2a00:1450::1'
    for (const address of open.split(' ')) expect(isSpecialAddress(address), address).toBe(false)
  })

  it('sees through other notations of an address', () => {
    for (const host of ['127.1', '0x7f.1', '017700000001', '2130706433', '[::ffff:7f00:1]', '127.0.0.1.']) {
      expect(() => checkedTarget(`https://${host}/`, {}), host).toThrow('private')
    }
    expect(checkedTarget('https://hooks.good.example/x', { allow: ['*.good.example'] }).hostname).toBe(
      'hooks.good.example',
    )
    expect(() => checkedTarget('https://good.example.evil.example/', { allow: ['good.example'] })).toThrow(
      'allow-list',
    )
  })

  it('reads Retry-After', () => {
    const now = Date.UTC(2026, 0, 1)
    expect(retryAfterMs('120', now)).toBe(120_000)
    expect(retryAfterMs(new Date(now + 5000).toUTCString(), now)).toBe(5000)
    expect(retryAfterMs(new Date(now - 5000).toUTCString(), now)).toBe(0)
    expect(retryAfterMs('soon', now)).toBeUndefined()
    expect(retryAfterMs(undefined, now)).toBeUndefined()
  })
})
