/** An element. Text goes in as text nodes only, so nothing that metrics or labels say becomes markup. */
export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag)
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue
    if (name.startsWith('on')) node.addEventListener(name.slice(2), value)
    else node.setAttribute(name, value === true ? '' : String(value))
  }
  node.append(...children.flat().filter(child => child !== null && child !== undefined && child !== ''))
  return node
}

export const byId = id => document.getElementById(id)

/** Time of day in UTC, as titles and logs have it; with the date when it is not today. */
export function clockText(iso) {
  const ms = Date.parse(iso)
  if (Number.isNaN(ms)) return 'unknown'
  const text = new Date(ms).toISOString()
  const time = text.slice(11, 19)
  return text.slice(0, 10) === new Date().toISOString().slice(0, 10) ? time : `${text.slice(0, 10)} ${time}`
}

export function timeElement(iso) {
  return el('time', { datetime: iso, title: iso }, clockText(iso))
}

/** A span in its two largest units: `1 h 5 min`. */
export function spanText(ms) {
  const seconds = Math.max(0, Math.round(ms / 1000))
  if (seconds < 60) return `${seconds} s`
  const minutes = Math.floor(seconds / 60)
  if (minutes < 60)
    return seconds % 60 && minutes < 10 ? `${minutes} min ${seconds % 60} s` : `${minutes} min`
  const hours = Math.floor(minutes / 60)
  if (hours < 48) return minutes % 60 ? `${hours} h ${minutes % 60} min` : `${hours} h`
  return `${Math.floor(hours / 24)} d ${hours % 24} h`
}

function digits(value) {
  return value.toLocaleString(undefined, { maximumSignificantDigits: 3 })
}

function scaled(value, steps) {
  const size = Math.abs(value)
  const [factor, name] = steps.find(([least]) => size >= least) ?? steps.at(-1)
  return `${digits(value / factor)} ${name}`.trim()
}

const SECONDS = [
  [60, 'min'],
  [1, 's'],
  [1e-3, 'ms'],
  [1e-6, 'µs'],
]
const BYTES = [
  [2 ** 40, 'TiB'],
  [2 ** 30, 'GiB'],
  [2 ** 20, 'MiB'],
  [2 ** 10, 'KiB'],
  [1, 'B'],
]
const COUNTS = [
  [1e9, 'G'],
  [1e6, 'M'],
  [1e4, 'k'],
]

/** A value in its unit, as people write it. */
export function valueText(value, unit = '') {
  if (value === null || value === undefined) return 'nothing'
  if (unit === 's') return value === 0 ? '0 s' : scaled(value, value >= 120 ? SECONDS : SECONDS.slice(1))
  if (unit === 'ms') return valueText(value / 1000, 's')
  if (unit === 'By' || unit === 'By/s') return scaled(value, BYTES) + unit.slice(2)
  if (unit === 'ratio') return `${digits(value * 100)} %`
  if (unit === 'percent') return `${digits(value)} %`
  const known = unit === '1' || unit === '' ? '' : ` ${unit}`
  return (Math.abs(value) >= 1e4 ? scaled(value, COUNTS) : digits(value)) + known
}
