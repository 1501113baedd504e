import type { Finding } from './cause.ts'
import { F, FELT } from './families.ts'

/**
 * A measured call is evidence of the callee, whoever measured it. The exception: one caller, or one copy of it, to
 * whom nearly everybody it calls seems slow or failing, while they seem well to all others, is itself what is wrong
 * (its network, its threads, a bad new copy). What it measured is then evidence of the caller.
 */

/** Callees that must seem strange to it: one alone may well be strange to everybody soon. */
const FEWEST_CALLEES = 2
/** And they must be this share of all that it calls. */
const STRANGE_SHARE = 2 / 3
/** Logarithmic strength of a strange call: a shift of 3.5 usual tails. */
const STRANGE = 1.5
const SCORE_CAP = 30

/** Findings with those that speak against their caller handed over to it. */
export function blameCallers(findings: readonly Finding[]): readonly Finding[] {
  const guilty = guiltyPoints(findings)
  if (guilty.size === 0) return findings
  const others = saidByOthers(findings, guilty)
  return findings.map(finding => {
    const seemsWell = (others.get(finding.entity) ?? Number.POSITIVE_INFINITY) < STRANGE
    if (!isFelt(finding) || !guilty.has(finding.point) || !seemsWell) return finding
    const family = finding.family === F.edgeSource ? F.edgeTarget : finding.family
    return { ...finding, entity: finding.caller, family, onEdge: false, callee: finding.entity }
  })
}

function isFelt({ point, family }: Finding): boolean {
  return point !== '' && FELT[family] && family !== F.client
}

function strengthOf({ change }: Finding): number {
  const tail = Math.log(1 + Math.min(change.tail, SCORE_CAP))
  const sigma = Math.log(1 + Math.min(change.sigma, SCORE_CAP))
  return (tail + sigma) / 2
}

/** Where calls are measured that are nearly all strange: copies of callers, by their names. */
function guiltyPoints(findings: readonly Finding[]): ReadonlySet<string> {
  const points = new Map<string, Map<string, number>>()
  for (const finding of findings) {
    if (!isFelt(finding)) continue
    const seen = points.get(finding.point) ?? new Map<string, number>()
    seen.set(finding.entity, Math.max(seen.get(finding.entity) ?? 0, strengthOf(finding)))
    points.set(finding.point, seen)
  }
  const guilty = new Set<string>()
  for (const [point, seen] of points) {
    let strange = 0
    for (const strength of seen.values()) if (strength >= STRANGE) strange++
    if (strange >= FEWEST_CALLEES && strange >= STRANGE_SHARE * seen.size) guilty.add(point)
  }
  return guilty
}

/** How strange an entity seems to itself and to callers that are not guilty: the mean of the stranger half. */
function saidByOthers(findings: readonly Finding[], guilty: ReadonlySet<string>): Map<string, number> {
  const said = new Map<string, number[]>()
  for (const finding of findings) {
    if (!FELT[finding.family] || finding.family === F.client || guilty.has(finding.point)) continue
    const list = said.get(finding.entity)
    if (list) list.push(strengthOf(finding))
    else said.set(finding.entity, [strengthOf(finding)])
  }
  const out = new Map<string, number>()
  for (const [entity, strengths] of said) {
    strengths.sort((a, b) => b - a)
    const half = Math.ceil(strengths.length / 2)
    let sum = 0
    for (let i = 0; i < half; i++) sum += strengths[i]
    out.set(entity, sum / half)
  }
  return out
}
