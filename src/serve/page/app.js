import { Chart } from './chart.js'
import { bodyOf, evidenceCard, headOf, severityTag } from './details.js'
import { byId, clockText, el, spanText } from './dom.js'
import { AnswerError, ask, listen, rememberKey } from './live.js'

/** How often the strip and the chart are read again when no event says so, ms. */
const REFRESH_MS = 10_000
/** Events come in bursts: the board is read once for each burst, ms. */
const BURST_MS = 250

const state = {
  status: undefined,
  items: [],
  chosen: decodeURIComponent(location.hash.slice(1)),
  evidence: [],
  evidenceId: undefined,
  known: undefined,
  shown: '',
}
const chart = new Chart(byId('chart'))

function choose(id, focus = false) {
  state.chosen = id
  state.evidenceId = undefined
  history.replaceState(null, '', `#${encodeURIComponent(id)}`)
  renderBoard()
  run(showDetails)
  if (focus) document.querySelector(`[data-id="${CSS.escape(id)}"]`)?.focus()
}

function row(d) {
  const end = d.resolvedAt === null ? Date.parse(state.status.now) : Date.parse(d.resolvedAt)
  const lasted = spanText(end - Date.parse(d.startedAt))
  return el(
    'li',
    {},
    el(
      'button',
      {
        type: 'button',
        class: `row ${d.severity}`,
        'data-id': d.id,
        'aria-current': d.id === state.chosen ? 'true' : undefined,
        onclick: () => choose(d.id),
      },
      el('span', { class: 'rank' }, d.status === 'open' ? `#${d.rank}` : '✓'),
      el('span', { class: 'title' }, d.title),
      el(
        'span',
        { class: 'quiet small' },
        severityTag(d.severity),
        ` since ${clockText(d.startedAt)} · ${d.status === 'open' ? lasted : `${d.status} after ${lasted}`}`,
        d.silenced ? ' · silenced' : '',
      ),
      el('span', { class: 'quiet small entities' }, d.entities.slice(0, 6).join(', ')),
    ),
  )
}

function renderBoard() {
  const held = document.activeElement?.getAttribute('data-id')
  const open = state.items.filter(d => d.status === 'open')
  const past = state.items.filter(d => d.status !== 'open')
  const parts = [
    el('h2', {}, open.length === 0 ? 'Nothing is disrupted now' : `Disrupted now (${open.length})`),
    open.length === 0 ? null : el('ol', {}, open.map(row)),
    past.length === 0 ? null : el('h2', {}, 'Lately over'),
    past.length === 0 ? null : el('ol', { class: 'past' }, past.map(row)),
  ]
  byId('board').replaceChildren(...parts.filter(part => part !== null))
  if (held !== null && held !== undefined)
    document.querySelector(`[data-id="${CSS.escape(held)}"]`)?.focus({ preventScroll: true })
}

function renderEmpty() {
  const { series, watermark, why, ready } = state.status
  const origin = location.origin
  const parts =
    series > 0
      ? [
          el('h2', {}, 'Nothing is disrupted'),
          el(
            'p',
            {},
            `Watching ${series.toLocaleString()} series`,
            watermark === null ? '; no window is complete yet.' : `, judged up to ${clockText(watermark)}.`,
          ),
        ]
      : [
          el('h2', {}, 'No data yet'),
          el('p', {}, 'Foreshock watches what is sent to it. Point something here:'),
          el('h3', {}, 'Prometheus'),
          el('pre', {}, `remote_write:\n  - url: ${origin}/api/v1/write`),
          el('h3', {}, 'OpenTelemetry'),
          el(
            'pre',
            {},
            `OTEL_EXPORTER_OTLP_METRICS_ENDPOINT=${origin}/v1/metrics\nOTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf`,
          ),
        ]
  if (!ready) parts.push(el('p', { class: 'quiet' }, `Not ready: ${why.join('; ')}`))
  byId('empty').replaceChildren(...parts)
}

function renderHealth() {
  const { status } = state
  const behindMs =
    status.watermark === null ? Number.NaN : Date.parse(status.now) - Date.parse(status.watermark)
  const stale = behindMs > Math.max(60_000, 6 * status.stepMs)
  const facts = [
    ['Disrupted', String(status.disruptionsOpen), status.disruptionsOpen > 0 ? 'bad' : ''],
    ['Anomalies', String(status.anomaliesOpen), ''],
    ['Series', status.series.toLocaleString(), status.series >= status.seriesLimit ? 'bad' : ''],
    ['Judged up to', status.watermark === null ? '–' : clockText(status.watermark), stale ? 'bad' : ''],
    ['Rejected', status.rejected.toLocaleString(), ''],
  ]
  byId('health').replaceChildren(
    ...facts.map(([name, text, tone]) => el('div', { class: tone }, el('dt', {}, name), el('dd', {}, text))),
  )
  document.title = status.disruptionsOpen > 0 ? `(${status.disruptionsOpen}) Foreshock` : 'Foreshock'
  if (stale && status.series > 0)
    notice(`No window has been completed for ${spanText(behindMs)}: are metrics still being sent?`)
  else if (!status.ready) notice(`Not ready: ${status.why.join('; ')}`)
  else notice('')
}

function notice(text) {
  byId('notice').textContent = text
  byId('notice').hidden = text === ''
}

async function showDetails() {
  const d = state.items.find(item => item.id === state.chosen)
  if (d === undefined) return
  const nowMs = Date.parse(state.status.now)
  byId('head').replaceChildren(...headOf(d, nowMs).filter(part => part !== null))
  const text = JSON.stringify([d.id, d.revision, d.suspects, d.evidence, d.related, state.evidenceId])
  if (text !== state.shown) {
    const { items } = await ask(`/api/disruptions/${encodeURIComponent(d.id)}/evidence`)
    if (d.id !== state.chosen) return
    state.evidence = [...items].sort((a, b) => b.surprise - a.surprise)
    state.shown = text
    renderEvidence(d)
  }
  await showChart(d)
}

function renderEvidence(d) {
  const chosen = state.evidenceId ?? state.evidence[0]?.id
  const held = document.activeElement?.getAttribute('data-evidence')
  const node = evidenceCard(state.evidence, chosen, id => {
    state.evidenceId = id
    run(showDetails)
  })
  byId('body').replaceChildren(...bodyOf(d, node, state.items, choose))
  if (held) document.querySelector(`[data-evidence="${CSS.escape(held)}"]`)?.focus({ preventScroll: true })
}

async function showChart(d) {
  const evidence = state.evidence.find(e => e.id === state.evidenceId) ?? state.evidence[0]
  byId('chart-box').hidden = evidence === undefined
  if (evidence === undefined) return
  byId('chart-title').replaceChildren(
    el('strong', {}, evidence.entity),
    ' ',
    el('code', {}, evidence.key),
    el('span', { class: 'quiet' }, ' observed against what was expected'),
  )
  const scores = await ask(evidence.scores).catch(error => {
    if (error instanceof AnswerError && error.status === 404) return undefined
    throw error
  })
  if (d.id !== state.chosen) return
  const count = scores?.columns.timeMs.length ?? 0
  byId('chart').hidden = count === 0
  byId('chart-note').textContent =
    count === 0 ? 'Its recent past is no longer held.' : `${count} windows of ${spanText(scores.stepMs)}`
  if (count === 0) return
  const end = d.resolvedAt === null ? Number.MAX_SAFE_INTEGER : Date.parse(d.resolvedAt)
  chart.show(scores.columns, scores.series.unit, [Date.parse(d.startedAt), end])
}

function announce() {
  const open = state.items.filter(d => d.status === 'open')
  const fresh = open.filter(d => state.known !== undefined && !state.known.has(d.id))
  state.known = new Set(open.map(d => d.id))
  if (fresh.length > 0) byId('said').textContent = `New disruption: ${fresh.map(d => d.title).join('; ')}`
}

async function refresh() {
  const { status, items } = await ask('/api/board')
  byId('key-form').hidden = true
  state.status = status
  state.items = items
  announce()
  renderHealth()
  byId('main').hidden = items.length === 0
  byId('empty').hidden = items.length > 0
  if (items.length === 0) {
    renderEmpty()
    return
  }
  if (!items.some(d => d.id === state.chosen)) {
    state.chosen = items[0].id
    state.evidenceId = undefined
  }
  renderBoard()
  await showDetails()
}

/** Runs one step; what fails is said on the page and tried again with the next. */
async function run(step) {
  try {
    await step()
  } catch (error) {
    if (error instanceof AnswerError && (error.status === 401 || error.status === 403)) {
      byId('key-form').hidden = false
      byId('main').hidden = true
      byId('empty').hidden = true
    } else notice(error instanceof AnswerError ? error.message : 'The service cannot be reached.')
  }
}

let burst
function soon() {
  clearTimeout(burst)
  burst = setTimeout(() => run(refresh), BURST_MS)
}

const LIVE = { live: 'live', lost: 'reconnecting…', refused: 'no access' }
function start() {
  run(refresh)
  listen(soon, said => {
    byId('live').textContent = LIVE[said]
    byId('live').className = `live ${said}`
    if (said === 'live') soon()
  })
}

byId('key-form').addEventListener('submit', event => {
  event.preventDefault()
  rememberKey(byId('key').value.trim())
  byId('key').value = ''
  start()
})
document.addEventListener('keydown', event => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest('input')) return
  const step = { j: 1, k: -1 }[event.key]
  if (step === undefined || state.items.length === 0) return
  const ordered = [
    ...state.items.filter(d => d.status === 'open'),
    ...state.items.filter(d => d.status !== 'open'),
  ]
  const at = ordered.findIndex(d => d.id === state.chosen)
  choose(ordered[Math.min(ordered.length - 1, Math.max(0, at + step))].id, true)
})
setInterval(() => run(refresh), REFRESH_MS)
start()
