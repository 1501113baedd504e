import { Failure, type Handler, required, type Surroundings } from './handler.ts'
import type { ServiceName } from './plan.ts'
import { paymentsHandler } from './work-payments.ts'
import { cacheHandler, searchHandler } from './work-search.ts'
import { storeHandler } from './work-store.ts'

/** The work of each service. */
export function handlerOf(role: ServiceName, around: Surroundings): Handler {
  switch (role) {
    case 'edge':
      return edgeHandler(around)
    case 'checkout':
      return checkoutHandler(around)
    case 'inventory':
      return inventoryHandler(around)
    case 'accounts':
      return accountsHandler(around)
    case 'payments':
      return paymentsHandler(around)
    case 'store':
      return storeHandler(around)
    case 'search':
      return searchHandler(around)
    case 'cache':
      return cacheHandler()
  }
}

/** The front door: hands each journey on. A page without search results is still a page; nothing else is. */
function edgeHandler(around: Surroundings): Handler {
  return async (path, body) => {
    if (path.startsWith('/search')) {
      const answer = await around.call('search', path)
      return answer.status === 200 ? answer.body : JSON.stringify({ results: [], degraded: true })
    }
    if (path.startsWith('/checkout')) {
      return required(await around.call('checkout', '/orders', body), 'checkout')
    }
    if (path.startsWith('/account')) return required(await around.call('accounts', path), 'accounts')
    throw new Failure(404, `nothing at ${path}`)
  }
}

interface Order {
  readonly user: number
  readonly items: readonly number[]
}

function readOrder(body: string): Order {
  try {
    const order: unknown = JSON.parse(body)
    if (typeof order === 'object' && order !== null && 'user' in order && 'items' in order) {
      const { user, items } = order
      if (typeof user === 'number' && Array.isArray(items)) return { user, items: items.map(Number) }
    }
  } catch {
    // Falls through to the same answer: the sender learns that it is no order.
  }
  throw new Failure(400, 'not an order: {"user":number,"items":[number]}')
}

/** Reserves, then charges: two calls one after the other, so that either's delay is the customer's. */
function checkoutHandler(around: Surroundings): Handler {
  return async (_path, body) => {
    const order = readOrder(body)
    const reserved = required(
      await around.call('inventory', '/reservations', JSON.stringify(order)),
      'inventory',
    )
    const amount = order.items.reduce((sum, item) => sum + 100 + (item % 900), 0)
    const receipt = required(
      await around.call('payments', '/charges', JSON.stringify({ user: order.user, amount })),
      'payments',
    )
    return JSON.stringify({ order, reserved: JSON.parse(reserved), receipt: JSON.parse(receipt) })
  }
}

/** Reads every item's stock record at once and writes the first one back. */
function inventoryHandler(around: Surroundings): Handler {
  return async (_path, body) => {
    const order = readOrder(body)
    const records = await Promise.all(order.items.map(item => around.call('store', `/kv/item-${item}`)))
    const stock = records.map(record => JSON.parse(required(record, 'store')) as Record<string, unknown>)
    stock.sort((a, b) => String(a.key).localeCompare(String(b.key)))
    required(await around.call('store', `/kv/item-${order.items[0]}`, JSON.stringify(stock[0])), 'store')
    return JSON.stringify({ held: stock.map(record => record.key) })
  }
}

function accountsHandler(around: Surroundings): Handler {
  return async path => {
    const user = Number(new URL(path, 'http://lab').searchParams.get('user') ?? '0')
    const profile = JSON.parse(required(await around.call('store', `/kv/user-${user}`), 'store')) as {
      key: string
      fields: Record<string, string>
    }
    return JSON.stringify({ key: profile.key, fields: Object.keys(profile.fields).sort() })
  }
}
