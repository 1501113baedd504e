// Shows that the detector of plain series keeps the detector contract.
import { PlainDetector } from '../../src/detectors/plain-detector.ts'
import { detectorContract } from './contract.ts'

detectorContract('plain@1', context => new PlainDetector(context))
