import { contentId } from '../core/identity.ts'
import type { Fleet } from './fleet.ts'
import { compare } from './graph.ts'
import type { WindowLevels } from './levels.ts'
import { silenceEvidence } from './measured.ts'
import type { DisruptionOptions } from './options.ts'
import { join, newStory, type Story } from './story.ts'

/** Windows in which everything must be silent before the pipeline is blamed. */
const MUTE_WINDOWS = 2

/** What came of listening for one window. */
export interface Heard {
  readonly opened: readonly Story[]
  /** Stories whose silence ended long enough ago. */
  readonly ended: readonly Story[]
}

/** One story for everything falling silent at once, told by tenant. Opens stories, but closes none itself. */
export function hearPipeline(
  levels: WindowLevels,
  muteWindows: Map<string, number>,
  open: readonly Story[],
  fleet: Fleet,
  options: DisruptionOptions,
  nowMs: number,
): Heard {
  const opened: Story[] = []
  const ended: Story[] = []
  const tenants = new Set([...levels.mute.keys(), ...muteWindows.keys()])
  for (const tenant of [...tenants].sort(compare)) {
    const story = open.find(one => one.kind === 'pipeline' && one.tenant === tenant)
    const mute = levels.mute.get(tenant)
    if (mute === undefined) {
      if (!story) muteWindows.delete(tenant)
      else if (++story.quiet >= options.quietWindows) {
        muteWindows.delete(tenant)
        ended.push(story)
      }
      continue
    }
    const windows = (muteWindows.get(tenant) ?? 0) + 1
    muteWindows.set(tenant, windows)
    if (story) {
      story.windows++
      story.quiet = 0
    } else if (mute && windows >= MUTE_WINDOWS) {
      opened.push(openPipeline(tenant, fleet, options, nowMs - windows * options.stepMs, nowMs))
    }
  }
  return { opened, ended }
}

function openPipeline(
  tenant: string,
  fleet: Fleet,
  options: DisruptionOptions,
  startedMs: number,
  nowMs: number,
): Story {
  const story = newStory('pipeline', tenant, 'telemetry', startedMs, nowMs)
  for (let e = 0; e < fleet.entities.length; e++) {
    const { tenant: own, name, firstSeenMs } = fleet.entities[e]
    if (own === tenant && fleet.columns.recent[e] > 0) {
      join(story, name, startedMs, options.openAt, nowMs).silence = 'whole'
      story.learned = Math.max(story.learned ?? 0, (startedMs - firstSeenMs) / options.stepMs)
      if (story.measured.length < options.maxEvidence) {
        story.measured.push(silenceEvidence(name, fleet.columns.recent[e], startedMs, nowMs))
      }
    }
  }
  story.peak = 2 * options.openAt
  story.id = contentId('d', tenant, 'telemetry', startedMs)
  return story
}
