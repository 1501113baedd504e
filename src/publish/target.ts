import { lookup } from 'node:dns'
import { BlockList, isIP, type LookupFunction } from 'node:net'
import { ForeshockError } from '../core/errors.ts'

export interface TargetPolicy {
  /** Hosts allowed: `hooks.example.com`, or `*.example.com` for all below. Undefined allows every public one. */
  readonly allow?: readonly string[]
  /** Lets private, link-local and loopback addresses and plain http through. */
  readonly allowPrivate?: boolean
}

/** Networks that a webhook must not reach unless allowed: IANA's special-purpose registries (RFC 6890 and later). */
const SPECIAL_V4: readonly [string, number][] = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
]
/** Everything that is not global unicast, and the ranges inside it that lead elsewhere (NAT64, 6to4, Teredo, …). */
const SPECIAL_V6: readonly [string, number][] = [
  ['::', 3],
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['3fff::', 20],
  ['4000::', 2],
  ['8000::', 1],
]

// Two lists: in one, the ranges of IPv6 would also catch every IPv4 address in its mapped form.
const specialV4 = new BlockList()
for (const [address, prefix] of SPECIAL_V4) specialV4.addSubnet(address, prefix, 'ipv4')
const specialV6 = new BlockList()
for (const [address, prefix] of SPECIAL_V6) specialV6.addSubnet(address, prefix, 'ipv6')

/** True when an address is private, loopback, link-local or otherwise not a public host. */
export function isSpecialAddress(address: string): boolean {
  const family = isIP(address)
  if (family === 0) return true
  return family === 4 ? specialV4.check(address, 'ipv4') : specialV6.check(address, 'ipv6')
}

function refuse(reason: string): never {
  throw new ForeshockError('FS_CONFIG_INVALID', reason)
}

/** The URL of a target, as far as it can be judged without DNS. Throws FS_CONFIG_INVALID. */
export function checkedTarget(text: string, policy: TargetPolicy): URL {
  if (!URL.canParse(text)) refuse('a webhook target is not a URL')
  const url = new URL(text)
  const host = url.hostname.replace(/^\[|\]$/g, '')
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && policy.allowPrivate)) {
    refuse(`webhook target ${host}: https is needed (http only with allowPrivate)`)
  }
  if (url.username !== '' || url.password !== '')
    refuse(`webhook target ${host}: credentials in a URL are refused`)
  if (policy.allow && !policy.allow.some(pattern => hostMatches(host, pattern))) {
    refuse(`webhook target ${host} is not in the allow-list`)
  }
  if (!policy.allowPrivate && isIP(host) !== 0 && isSpecialAddress(host)) {
    refuse(`webhook target ${host} is a private address`)
  }
  return url
}

function hostMatches(host: string, pattern: string): boolean {
  const wanted = pattern.toLowerCase()
  return wanted.startsWith('*.') ? host.endsWith(wanted.slice(1)) : host === wanted
}

/**
 * A resolver for sockets that refuses a name when any of its addresses is special. The socket connects to what
 * was checked here, so a name that resolves differently a moment later (DNS rebinding) gains nothing.
 */
export function guardedLookup(policy: TargetPolicy): LookupFunction {
  return (hostname, options, callback) => {
    lookup(hostname, { ...options, all: true }, (error, addresses) => {
      if (error) return callback(error, [])
      const bad = policy.allowPrivate ? undefined : addresses.find(({ address }) => isSpecialAddress(address))
      if (bad || addresses.length === 0) {
        return callback(new Error(`${hostname} resolves to ${bad?.address ?? 'nothing'}: refused`), [])
      }
      if (options.all) return callback(null, addresses)
      callback(null, addresses[0].address, addresses[0].family)
    })
  }
}
