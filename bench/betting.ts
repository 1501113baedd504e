// How often the betting test of experiments is wrong when there is no advantage, and how soon it finds one: seeded
// simulations, looking after every unit, at alpha = 0.05.
// node --import tsx bench/betting.ts
import { BettedMean } from '../src/math/betting.ts'
import { mulberry32 } from '../src/math/mulberry32.ts'

const ALPHA = 0.05
const UNITS = 500
const FAIR_RUNS = 2000
const RUNS = 301
const PATIENCE = 5000

type Source = (random: () => number, before: number) => number

const FAIR: Readonly<Record<string, Source>> = {
  'wins and losses, even': random => (random() < 0.5 ? 1 : -1),
  '90 % ties': random => (random() < 0.9 ? 0 : random() < 0.5 ? 1 : -1),
  'nine small wins to one large loss': random => (random() < 0.9 ? 0.1 : -0.9),
  'bursts: large after large': (random, before) =>
    (random() < 0.5 ? 1 : -1) * (Math.abs(before) > 0.3 ? 0.9 : random() < 0.1 ? 1 : 0.05),
}
/** Shares of incidents found by challenger and champion. */
const FOUND: readonly (readonly [number, number])[] = [
  [1, 0],
  [0.9, 0.5],
  [0.8, 0.4],
  [0.8, 0.6],
  [0.6, 0.4],
  [0.7, 0.6],
]

for (const [name, source] of Object.entries(FAIR)) {
  let wrong = 0
  for (let run = 0; run < FAIR_RUNS; run++) {
    const random = mulberry32(run + 1)
    const bets = new BettedMean(ALPHA)
    let x = 0
    for (let i = 0; i < UNITS && bets.side === 'open'; i++) {
      x = source(random, x)
      bets.add(x)
    }
    if (bets.side !== 'open') wrong++
  }
  process.stdout.write(
    `no advantage, ${name}: wrong in ${((100 * wrong) / FAIR_RUNS).toFixed(1)} % of runs\n`,
  )
}
for (const [challenger, champion] of FOUND) {
  const units: number[] = []
  for (let run = 0; run < RUNS; run++) {
    const random = mulberry32(run + 1)
    const bets = new BettedMean(ALPHA)
    while (bets.count < PATIENCE && bets.side !== 'above')
      bets.add((random() < challenger ? 1 : 0) - (random() < champion ? 1 : 0))
    units.push(bets.count)
  }
  units.sort((a, b) => a - b)
  process.stdout.write(
    `challenger finds ${challenger}, champion ${champion}: ${units[RUNS >> 1]} units (median), ${units[Math.floor(0.9 * RUNS)]} (90 % of runs)\n`,
  )
}
