import { SCORE } from './change-score.ts'
import { F, FELT } from './families.ts'
import { FINDING_WIDTH, type Findings, type Subject } from './findings.ts'

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
export function blameCallers(findings: Findings): Findings {
  const guilty = guiltyPoints(findings)
  if (guilty.size === 0) return findings
  const others = saidByOthers(findings, guilty)
  return findings.about(
    findings.subjects.slice(0, findings.length).map(subject => {
      const seemsWell = (others.get(subject.entity) ?? Number.POSITIVE_INFINITY) < STRANGE
      if (!isFelt(subject) || !guilty.has(subject.point) || !seemsWell) return subject
      const family = subject.family === F.edgeSource ? F.edgeTarget : subject.family
      return { ...subject, entity: subject.caller, family, onEdge: false, callee: subject.entity }
    }),
  )
}

function isFelt({ point, family }: Subject): boolean {
  return point !== '' && FELT[family] && family !== F.client
}

function strengthOf({ numbers }: Findings, i: number): number {
  const at = FINDING_WIDTH * i
  const tail = Math.log(1 + Math.min(numbers[at + SCORE.tail], SCORE_CAP))
  const sigma = Math.log(1 + Math.min(numbers[at + SCORE.sigma], SCORE_CAP))
  return (tail + sigma) / 2
}

/** Where calls are measured that are nearly all strange: copies of callers, by their names. */
function guiltyPoints(findings: Findings): ReadonlySet<string> {
  const points = new Map<string, Map<string, number>>()
  for (let i = 0; i < findings.length; i++) {
    const subject = findings.subjects[i]
    if (!isFelt(subject)) continue
    const seen = points.get(subject.point) ?? new Map<string, number>()
    seen.set(subject.entity, Math.max(seen.get(subject.entity) ?? 0, strengthOf(findings, i)))
    points.set(subject.point, seen)
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
function saidByOthers(findings: Findings, guilty: ReadonlySet<string>): Map<string, number> {
  const said = new Map<string, number[]>()
  for (let i = 0; i < findings.length; i++) {
    const { family, point, entity } = findings.subjects[i]
    if (!FELT[family] || family === F.client || guilty.has(point)) continue
    const list = said.get(entity)
    if (list) list.push(strengthOf(findings, i))
    else said.set(entity, [strengthOf(findings, i)])
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
