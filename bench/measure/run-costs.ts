/**
 * What a run costs beside its steps: models that do nothing with inputs and outputs of several sizes, and one whose long
 * steps are interrupted for other work. Medians, because collecting garbage is part of it.
 */
import type { PortCost, RunCosts } from "../../compiler/kernels/cost-table.ts";
import { load } from "../../runtime/index.ts";
import { quantileOf } from "./time-call.ts";

/** A synthetic model; `copies`: every input is an output, too, otherwise one number of one input is. */
export interface PortModel {
  readonly ports: number;
  readonly floats: number;
  readonly copies: boolean;
}

export const nameOf = ({ ports, floats, copies }: PortModel): string =>
  `${ports}-${floats}-${copies ? "copies" : "inputs"}`;
/** A model of one small input whose steps take longer than a slice. */
export const slicedName = "sliced";

const manyPorts = 9;
const sizes = [4096, 65_536, 524_288] as const;

export const portModels: readonly PortModel[] = [true, false].flatMap((copies) => [
  { ports: 1, floats: 1, copies },
  { ports: manyPorts, floats: 1, copies },
  ...sizes.map((floats) => ({ ports: 1, floats, copies })),
]);

/** As runs are cut by the runtime. */
const sliceNanoseconds = 5e6;
const measureMs = 60;
/** Of which the one counts in which the machine did less beside. */
const passes = 3;
const warmUpMs = 60;
const batchMs = 1;

/** Nanoseconds of one call, asynchronous ones as a caller sees them. */
async function timeRuns(run: () => unknown): Promise<number> {
  const start = performance.now();
  let calls = 0;
  while (performance.now() - start < warmUpMs) {
    await run();
    calls++;
  }
  const inner = Math.max(1, Math.ceil((batchMs * calls) / (performance.now() - start)));
  const samples: number[] = [];
  const end = performance.now() + measureMs;
  while (performance.now() < end) {
    const before = performance.now();
    for (let i = 0; i < inner; i++) await run();
    samples.push((performance.now() - before) / inner);
  }
  return quantileOf(samples, 0.5) * 1e6;
}

async function timePorts(address: string, { ports, floats }: PortModel): Promise<number> {
  const session = await load(address, { worker: false, cache: false });
  const inputs = Object.fromEntries(
    Array.from({ length: ports }, (_, port) => [`x${port}`, { data: new Float32Array(floats).fill(port) }]),
  );
  const nanoseconds = await timeRuns(() => session.run(inputs));
  await session.dispose();
  return nanoseconds;
}

async function timeSlices(address: string): Promise<{ readonly inTurns: number; readonly atOnce: number }> {
  const session = await load(address, { worker: false, cache: false });
  const inputs = { x0: { data: Float32Array.of(1) } };
  for (let i = 0; i < 3; i++) await session.run(inputs);
  const [inTurns, atOnce]: [number[], number[]] = [[], []];
  const end = performance.now() + 15 * measureMs;
  while (performance.now() < end) {
    const start = performance.now();
    await session.run(inputs);
    const between = performance.now();
    session.runSync(inputs);
    inTurns.push((between - start) * 1e6);
    atOnce.push((performance.now() - between) * 1e6);
  }
  await session.dispose();
  return { inTurns: quantileOf(inTurns, 0.25), atOnce: quantileOf(atOnce, 0.25) };
}

/** @param addressOf Address of a package by name: those of `portModels`, and `slicedName`. */
export async function measureRuns(addressOf: (name: string) => string): Promise<RunCosts> {
  const times = new Map<string, number>();
  for (let pass = 0; pass < passes; pass++) {
    for (const model of portModels) {
      const name = nameOf(model);
      times.set(name, Math.min(times.get(name) ?? Number.POSITIVE_INFINITY, await timePorts(addressOf(name), model)));
    }
  }
  const { inTurns, atOnce } = await timeSlices(addressOf(slicedName));
  const time = (ports: number, floats: number, copies: boolean): number =>
    times.get(nameOf({ ports, floats, copies })) ?? 0;
  const each = (copies: boolean): number => (time(manyPorts, 1, copies) - time(1, 1, copies)) / (manyPorts - 1);
  const [input, both] = [Math.max(1, each(false)), each(true)];
  const beyond = (floats: number, copies: boolean): number => time(1, floats, copies) - time(1, 1, copies);
  const least: PortCost = { bytes: 4, nanoseconds: input };
  const inputs = [least, ...sizes.map((floats) => ({ bytes: floats * 4, nanoseconds: input + beyond(floats, false) }))];
  const outputs = [
    { bytes: 4, nanoseconds: both - input },
    ...sizes.map((floats) => ({
      bytes: floats * 4,
      nanoseconds: both - input + beyond(floats, true) - beyond(floats, false),
    })),
  ];
  const fixed = time(1, 1, true) - both;
  const slices = Math.max(1, Math.floor(atOnce / sliceNanoseconds));
  return {
    fixed: Math.max(0, fixed),
    input: rising(inputs),
    output: rising(outputs),
    slice: { every: sliceNanoseconds, nanoseconds: Math.max(0, (inTurns - atOnce) / slices) },
  };
}

/** More bytes cost no less. */
function rising(costs: readonly PortCost[]): readonly PortCost[] {
  let most = 0;
  return costs.map(({ bytes, nanoseconds }) => {
    most = Math.max(most, nanoseconds);
    return { bytes, nanoseconds: most };
  });
}
