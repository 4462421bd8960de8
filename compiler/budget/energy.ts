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
