/**
 * The known answer of the whole model: generated inputs, sampled outputs. Says whether this engine on this device
 * computes what the compiler computed.
 */
import { evaluateExtent } from "../format/extent.ts";
import type { SelfTest } from "../format/manifest.ts";
import { acceptableInput } from "../format/port-value.ts";
import type { Program } from "../format/program.ts";
import type { Tensor } from "../format/tensor.ts";
import type { Engine } from "./engine.ts";
import { numberOf } from "./kernel-probe.ts";

/** The inputs of the test: input i filled from seed + i, or its fixed value. */
function selfTestInputs(test: SelfTest, program: Program): Readonly<Record<string, Tensor>> {
  const bindings = new Map(Object.entries(test.bindings));
  const tensors = program.inputs.map((port, index): [string, Tensor] => {
    const extents = port.shape.map((extent) => evaluateExtent(extent, bindings));
    return [port.name, acceptableInput(port, extents, test.seed + index)];
  });
  return Object.fromEntries(tensors);
}

/** The first sample that is not as expected, in words; undefined when all are. */
function compare(test: SelfTest, outputs: Readonly<Record<string, Tensor>>): string | undefined {
  for (const { name, indices, values } of test.outputs) {
    const tensor = outputs[name];
    if (tensor === undefined) return `output ${name} is missing`;
    const largest = values.reduce((maximum, value) => Math.max(maximum, Math.abs(value)), 0);
    let [errors, squares] = [0, 0];
    for (const [sample, index] of indices.entries()) {
      const expected = values[sample] ?? 0;
      const element = tensor.data[index];
      const received = element === undefined ? Number.NaN : numberOf(tensor.dtype, element);
      const allowed = test.absolute * largest + test.relative * Math.abs(expected);
      if (!(Math.abs(received - expected) <= allowed)) {
        return `${name}[${index}] is ${received}, expected ${expected} within ${allowed}`;
      }
      errors += (received - expected) ** 2;
      squares += expected ** 2;
    }
    const { rootMeanSquare: share } = test;
    if (share !== undefined && errors > share * share * squares) {
      return `${name} is ${Math.sqrt(errors / squares)} of itself away from what is expected, more than ${share}`;
    }
  }
  return undefined;
}

/** The states of an engine, for `reset` of another one or of the same later. */
export async function statesOf(engine: Engine): Promise<Readonly<Record<string, Tensor>>> {
  const states: Record<string, Tensor> = {};
  for (const { name } of engine.program.states ?? []) states[name] = await engine.state(name);
  return states;
}

/**
 * Runs the test from states of zeros and puts the states back. Returns what is wrong, or undefined; rejects when the
 * run is aborted.
 */
export async function runSelfTest(test: SelfTest, engine: Engine, signal?: AbortSignal): Promise<string | undefined> {
  const control = signal === undefined ? {} : { signal };
  const states = await statesOf(engine);
  await engine.reset();
  try {
    const { outputs } = await engine.run(selfTestInputs(test, engine.program), control);
    return compare(test, outputs);
  } finally {
    await engine.reset(states);
  }
}
