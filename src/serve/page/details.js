import { el, spanText, timeElement, valueText } from './dom.js'

const DIRECTIONS = { spike: 'above expectation', drop: 'below expectation', absent: 'absent' }
const PARTS = {
  impact: 'how much is touched',
  confidence: 'how sure',
  persistence: 'how long it lasts',
  novelty: 'how new',
}

function listOf(lines) {
  return lines.length === 0
    ? null
    : el(
        'ul',
        { class: 'why' },
        lines.map(line => el('li', {}, line)),
      )
}

function card(title, ...children) {
  return el('section', { class: 'card' }, el('h3', {}, title), ...children)
}

export function severityTag(severity) {
  return el('span', { class: `severity ${severity}` }, severity)
}

export function headOf(d, nowMs) {
  const end = d.resolvedAt === null ? nowMs : Date.parse(d.resolvedAt)
  const lasted = spanText(end - Date.parse(d.startedAt))
  const facts = [
    ['Status', d.silenced ? `${d.status}, silenced` : d.status],
    ['Since', el('span', {}, timeElement(d.startedAt), ` · ${lasted}`)],
    ['Detected', `${spanText(Date.parse(d.detectedAt) - Date.parse(d.startedAt))} later`],
    ['Confidence', `${Math.round(d.confidence * 100)} %`],
    ['Score', d.score.toFixed(0)],
    d.impact.trafficShare === null
      ? null
      : ['Traffic touched', `${Math.round(d.impact.trafficShare * 100)} %`],
  ].filter(fact => fact !== null)
  return [
    el('p', { class: 'over' }, `#${d.rank} `, severityTag(d.severity), ` ${d.entity}`),
    el('h2', {}, d.title),
    listOf(d.why),
    el(
      'dl',
      { class: 'facts' },
      facts.map(([name, text]) => el('div', {}, el('dt', {}, name), el('dd', {}, text))),
    ),
    el(
      'p',
      { class: 'chips' },
      d.entities.map(name => el('span', { class: 'chip' }, name)),
    ),
  ]
}

function suspectItem(suspect, startedMs) {
  const lead = (startedMs - Date.parse(suspect.onset)) / 1000
  const when =
    Math.abs(lead) < 1
      ? 'at the start'
      : `${spanText(Math.abs(lead) * 1000)} ${lead > 0 ? 'before' : 'after'} the start`
  return el(
    'li',
    {},
    el(
      'p',
      { class: 'suspect' },
      el('strong', {}, suspect.entity),
      ' ',
      el('code', {}, suspect.metric),
      el('span', { class: 'quiet' }, ` ${DIRECTIONS[suspect.direction] ?? suspect.direction}, ${when}`),
    ),
    meter(suspect.score, `score ${suspect.score.toFixed(2)}`),
    listOf(suspect.why),
  )
}

function meter(share, label) {
  const percent = Math.round(Math.min(1, Math.max(0, share)) * 100)
  const bar = el('span', { class: 'bar' })
  bar.style.setProperty('--share', `${percent}%`)
  return el('span', { class: 'meter' }, bar, el('span', { class: 'quiet' }, label))
}

function rankCard(d) {
  const rows = Object.entries(d.rankParts).map(([name, part]) =>
    el(
      'tr',
      {},
      el('th', { scope: 'row', title: PARTS[name] }, name),
      el('td', {}, meter(part, part.toFixed(2))),
    ),
  )
  return card('Why this rank', el('table', { class: 'parts' }, el('tbody', {}, rows)))
}

function changesCard(d) {
  const items = d.changes.map(change =>
    el(
      'li',
      {},
      el('span', { class: 'chip' }, change.kind),
      ' ',
      el('strong', {}, change.entity),
      change.ref === '' ? '' : el('code', {}, ` ${change.ref}`),
      el('span', { class: 'quiet' }, ' ', timeElement(change.time)),
    ),
  )
  const none = el('p', { class: 'quiet' }, 'No change was reported near its start.')
  return card('Changes nearby', items.length === 0 ? none : el('ul', { class: 'plain' }, items))
}

const RELATIONS = {
  'merged-into': 'Turned out to be part of',
  'merged-from': 'Turned out to contain',
  'split-from': 'Was told apart from',
  'split-off': 'Was told apart from this:',
}

/** Stories that merged or parted; those on the board can be gone to. */
function relatedCard(d, board, choose) {
  if (d.related === undefined || d.related.length === 0) return null
  const items = d.related.map(({ id, relation }) => {
    const other = board.find(item => item.id === id)
    return el(
      'li',
      {},
      `${RELATIONS[relation] ?? relation} `,
      other === undefined
        ? el('code', {}, id)
        : el(
            'button',
            { type: 'button', class: 'link', 'data-related': id, onclick: () => choose(id, true) },
            other.title,
          ),
    )
  })
  return card('Related disruptions', el('ul', { class: 'plain' }, items))
}

/** The evidence list; choosing one puts it on the chart. */
export function evidenceCard(evidence, chosen, choose) {
  const items = evidence.map(e =>
    el(
      'li',
      {},
      el(
        'button',
        {
          type: 'button',
          'aria-pressed': String(e.id === chosen),
          'data-evidence': e.id,
          onclick: () => choose(e.id),
        },
        el('span', { class: 'name' }, el('strong', {}, e.entity), ' ', el('code', {}, e.series.metric)),
        el(
          'span',
          { class: 'numbers' },
          e.direction === 'absent' ? 'absent' : valueText(e.observed, e.unit),
          el('span', { class: 'quiet' }, ` expected ${valueText(e.expected, e.unit)}`),
        ),
        el('span', { class: 'quiet small' }, e.why.join(' · ')),
      ),
    ),
  )
  return card(`Evidence (${evidence.length})`, el('ol', { class: 'evidence' }, items))
}

export function bodyOf(d, evidenceNode, board, choose) {
  const startedMs = Date.parse(d.startedAt)
  const suspects = d.suspects.map(suspect => suspectItem(suspect, startedMs))
  const none = el('p', { class: 'quiet' }, 'No cause stands out.')
  return [
    el(
      'div',
      { class: 'columns' },
      el(
        'div',
        {},
        card('Probable cause', suspects.length === 0 ? none : el('ol', { class: 'suspects' }, suspects)),
        evidenceNode,
      ),
      el('div', {}, relatedCard(d, board, choose), rankCard(d), changesCard(d)),
    ),
  ]
}
