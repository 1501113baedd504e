import UPlot from '/assets/uPlot.esm.js'
import { valueText } from './dom.js'

const HEIGHT = 260
/** How the time axis is written: least spacing in seconds, the text, and what is added when the day changes. */
const TIMES = [
  [86_400, '{MMM} {D}', null, null, null, null, null, null, 1],
  [60, '{HH}:{mm}', '\n{YYYY}-{MM}-{DD}', null, '\n{YYYY}-{MM}-{DD}', null, null, null, 1],
  [1, '{HH}:{mm}:{ss}', '\n{YYYY}-{MM}-{DD}', null, '\n{YYYY}-{MM}-{DD}', null, null, null, 1],
]

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim()
}

/** Observed against the expected band; the disruption's time is shaded. */
export class Chart {
  constructor(box) {
    this.box = box
    this.plot = undefined
    this.shape = ''
    this.shade = [Number.NaN, Number.NaN]
    new ResizeObserver(() => this.resize()).observe(box)
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.redraw())
  }

  show(columns, unit, [fromMs, toMs]) {
    this.shade = [fromMs / 1000, toMs / 1000]
    this.data = [
      columns.timeMs.map(ms => ms / 1000),
      columns.upper,
      columns.lower,
      columns.expected,
      columns.observed,
    ]
    this.unit = unit
    if (this.plot !== undefined && this.shape === unit) this.plot.setData(this.data)
    else this.redraw()
  }

  redraw() {
    if (this.data === undefined) return
    this.plot?.destroy()
    this.shape = this.unit
    this.plot = new UPlot(this.options(), this.data, this.box)
  }

  resize() {
    if (this.plot !== undefined && this.box.clientWidth > 0)
      this.plot.setSize({ width: this.box.clientWidth, height: HEIGHT })
  }

  options() {
    const axis = {
      stroke: colour('--quiet'),
      grid: { stroke: colour('--line'), width: 1 },
      ticks: { show: false },
    }
    const value = (_plot, number) => (number === null ? '–' : valueText(number, this.unit))
    const edge = { stroke: 'transparent', points: { show: false }, value }
    return {
      width: Math.max(200, this.box.clientWidth),
      height: HEIGHT,
      tzDate: seconds => UPlot.tzDate(new Date(seconds * 1000), 'Etc/UTC'),
      cursor: { points: { size: 6 }, drag: { x: true, y: false } },
      bands: [{ series: [1, 2], fill: colour('--band') }],
      axes: [
        { ...axis, values: TIMES },
        { ...axis, size: 72, values: (_plot, splits) => splits.map(split => valueText(split, this.unit)) },
      ],
      series: [
        { label: 'time', value: '{HH}:{mm}:{ss}' },
        { ...edge, label: 'highest expected' },
        { ...edge, label: 'lowest expected' },
        {
          label: 'expected',
          stroke: colour('--quiet'),
          width: 1.25,
          dash: [5, 4],
          points: { show: false },
          value,
        },
        { label: 'observed', stroke: colour('--observed'), width: 2, points: { size: 4 }, value },
      ],
      hooks: { drawClear: [plot => this.drawShade(plot)] },
    }
  }

  drawShade(plot) {
    const [from, to] = this.shade
    const { left, top, width, height } = plot.bbox
    const clamp = x => Math.min(left + width, Math.max(left, x))
    const start = clamp(plot.valToPos(from, 'x', true))
    const end = clamp(plot.valToPos(to, 'x', true))
    if (!(end > start)) return
    plot.ctx.save()
    plot.ctx.fillStyle = colour('--shade')
    plot.ctx.fillRect(start, top, end - start, height)
    plot.ctx.restore()
  }
}
