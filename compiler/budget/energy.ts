/**
 * Energy of one run from counts: E = idle share + sum(operations x energy per operation by type) + sum(bytes x energy per
 * byte by level) + launches. The coefficients say where they come from and how far off they may be; so does every result.
 */

/**
 * A: read from counters around a run. B: coefficients fitted to counters of this device. C: a published table of another
 * device, good for comparing plans, not for promises.
 */
export type EnergyTier = "A" | "B" | "C";

/** What a multiply-add works on; "other": elementwise operations, counted as they are. */
export type OperationType = "float32" | "int8" | "other";

export interface EnergyCoefficients {
  readonly tier: EnergyTier;
  /** Where the numbers come from. */
  readonly source: string;
  /** The truth is expected between value / band and value x band. */
  readonly band: number;
  /** Watts of the device doing nothing, charged for the time of the run. */
  readonly idleWatts: number;
  /** Picojoules per operation (a multiply-add counts as one). */
  readonly operations: Readonly<Record<OperationType, number>>;
  /** By rising capacity in bytes, the last for everything larger: picojoules per byte that comes from there. */
  readonly levels: readonly { readonly name: string; readonly capacity: number; readonly perByte: number }[];
  /** Picojoules of entering one step. */
  readonly launch: number;
}

/** What one step does. */
export interface StepCounts {
  readonly nanoseconds: number;
  readonly type: OperationType;
  /** Multiply-adds, or operations of type "other". */
  readonly operations: number;
  /** Bytes of weights, which come from wherever a whole run's data fits. */
  readonly weightBytes: number;
  /** Bytes of values read and written, which come from wherever they fit. */
  readonly valueBytes: number;
}

/** Joules with what they are worth. */
export interface Energy {
  readonly joules: number;
  readonly tier: EnergyTier;
  readonly band: number;
}

/** Energy of one run. */
export interface RunEnergy extends Energy {
  /** Joules beyond what the machine takes doing nothing for as long; counters alone can tell. */
  readonly aboveIdle?: number;
  /** Counters, or where the coefficients come from. */
  readonly source: string;
}

/** Significant digits that an amount of a tier deserves. */
const digitsOf: Readonly<Record<EnergyTier, number>> = { A: 3, B: 3, C: 2 };

/** "4.2 mJ (tier B)": joules are never shown without their tier. */
export const millijoulesText = (millijoules: number, tier: EnergyTier): string =>
  `${Number(millijoules.toPrecision(digitsOf[tier]))} mJ (tier ${tier})`;

/** "4.2 mJ (tier A) a run, 3.1 mJ above idle, within a factor of 1.05: package-0 by powercap". */
export function runEnergyText({ joules, aboveIdle, tier, band, source }: RunEnergy): string {
  const above =
    aboveIdle === undefined ? "" : `, ${Number((1e3 * aboveIdle).toPrecision(digitsOf[tier]))} mJ above idle`;
  return `${millijoulesText(1e3 * joules, tier)} a run${above}, within a factor of ${Number(band.toPrecision(3))}: ${source}`;
}

/** Where energies of a kind come from: "of tier C: within a factor of 10, by …". */
export const sourceText = ({ tier, band, source }: Pick<RunEnergy, "tier" | "band" | "source">): string =>
  `is of tier ${tier}: within a factor of ${Number(band.toPrecision(3))}, by ${source}`;

/** Operators whose operations are multiply-adds. */
const products: ReadonlySet<string> = new Set([
  "leafcutter.Conv",
  "leafcutter.ConvTranspose",
  "leafcutter.MatMul",
  "leafcutter.Attention",
  "LSTM",
  "GRU",
  "RNN",
]);

/** What a step of an operator counts, from its floating-point operations (two of them in a multiply-add). */
export function operationsOf(op: string, flops: number): Pick<StepCounts, "type" | "operations"> {
  if (op.startsWith("leafcutter.Integer")) return { type: "int8", operations: flops / 2 };
  return products.has(op) ? { type: "float32", operations: flops / 2 } : { type: "other", operations: flops };
}

/** A step of a session as it reports it. */
export interface RunStep {
  readonly op: string;
  readonly milliseconds: number;
  readonly flops: number;
  readonly bytes: number;
}

/** Energy of a run by its steps. What they move comes from wherever all of it fits, since weights are not told apart. */
export function estimatedEnergy(steps: readonly RunStep[], coefficients: EnergyCoefficients): RunEnergy {
  const { tier, band, source } = coefficients;
  const footprint = steps.reduce((sum, { bytes }) => sum + bytes, 0);
  const joules = steps.reduce((sum, { op, milliseconds, flops, bytes }) => {
    const counts = { nanoseconds: milliseconds * 1e6, weightBytes: bytes, valueBytes: 0, ...operationsOf(op, flops) };
    return sum + energyOf(counts, footprint, coefficients);
  }, 0);
  return { joules, tier, band, source };
}

/** Joules of one step; `footprint`: bytes that a whole run touches. */
export function energyOf(counts: StepCounts, footprint: number, coefficients: EnergyCoefficients): number {
  const perByte = (bytes: number): number => {
    const { levels } = coefficients;
    return (levels.find(({ capacity }) => bytes <= capacity) ?? levels.at(-1))?.perByte ?? 0;
  };
  const picojoules =
    counts.operations * coefficients.operations[counts.type] +
    counts.weightBytes * perByte(footprint) +
    counts.valueBytes * perByte(counts.valueBytes) +
    coefficients.launch;
  // Watts times nanoseconds are nanojoules.
  return picojoules * 1e-12 + coefficients.idleWatts * counts.nanoseconds * 1e-9;
}

/**
 * Horowitz, "Computing's energy problem (and what we can do about it)", ISSCC 2014, 45 nm at 0.9 V: float32 multiply 3.7 pJ
 * and add 0.9 pJ; int8 multiply 0.2 pJ, int32 add 0.1 pJ; 8 bytes from 8 kB 10 pJ, from 32 kB 20 pJ, from 1 MB 100 pJ, from DRAM 1.3
 * to 2.6 nJ; 70 pJ for an instruction, here shared by the lanes of a 128-bit vector: 4 float32 multiply-adds, 8 of int8. It says
 * nothing of idle power.
 */
export const publishedEnergy: EnergyCoefficients = {
  tier: "C",
  source: "Horowitz, Computing's energy problem (and what we can do about it), ISSCC 2014 (45 nm, 0.9 V)",
  band: 10,
  idleWatts: 0,
  operations: { float32: 3.7 + 0.9 + 70 / 4, int8: 0.2 + 0.1 + 70 / 8, other: 0.9 + 70 / 4 },
  levels: [
    { name: "32 kB", capacity: 32 * 1024, perByte: 20 / 8 },
    { name: "1 MB", capacity: 1024 * 1024, perByte: 100 / 8 },
    { name: "DRAM", capacity: Number.MAX_SAFE_INTEGER, perByte: 1950 / 8 },
  ],
  // A few hundred instructions: reading the record, the call, the loops' first iterations.
  launch: 200 * 70,
};
