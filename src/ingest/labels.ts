import type { IntakeOptions } from './options.ts'

/** Names and values of one series, checked against the limits while they are read. */
export class LabelSet {
  readonly #options: IntakeOptions
  metric = ''
  labels: Record<string, string> = {}
  /** Why the series is refused, '' when it is not. */
  refused = ''
  #count = 0

  constructor(options: IntakeOptions) {
    this.#options = options
  }

  begin(metric: string): void {
    this.metric = ''
    this.labels = {}
    this.refused = ''
    this.#count = 0
    if (metric !== '') this.name(metric)
  }

  name(metric: string): void {
    this.metric = metric
    if (metric.length > this.#options.nameLengthMax) this.refused = 'label-limit'
  }

  add(name: string, value: string): void {
    if (name === '__name__') {
      if (this.metric !== '') this.refused = 'malformed'
      this.name(value)
      return
    }
    // An empty value is no label; names with two underscores in front are the sender's own.
    if (value === '' || name.startsWith('__') || this.#options.dropLabels.includes(name)) return
    if (name === '' || Object.hasOwn(this.labels, name)) {
      this.refused = 'malformed'
      return
    }
    const { labelsMax, nameLengthMax, labelValueLengthMax } = this.#options
    if (++this.#count > labelsMax || name.length > nameLengthMax || value.length > labelValueLengthMax) {
      this.refused = 'label-limit'
      return
    }
    this.labels[name] = value
  }

  end(): string {
    if (this.refused === '' && this.metric === '') this.refused = 'malformed'
    return this.refused
  }
}
