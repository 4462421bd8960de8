/**
 * Runs of a package with states on the inputs of the model it was made from: what the package keeps is set before the
 * run, and read afterwards under the model's output names.
 */
import type { Session } from "../runtime/index.ts";
import type { Tensors } from "./tensor-bundle.ts";

interface Split {
  /** undefined for a package without states. */
  readonly states: Tensors | undefined;
  readonly inputs: Tensors;
}

function splitStates(session: Session, tensors: Tensors): Split {
  const names = new Set(session.states.map(({ name }) => name));
  if (names.size === 0) return { states: undefined, inputs: tensors };
  const entries = Object.entries(tensors);
  return {
    states: Object.fromEntries(entries.filter(([name]) => names.has(name))),
    inputs: Object.fromEntries(entries.filter(([name]) => !names.has(name))),
  };
}

/** One run from the states in `tensors`: all outputs of the model. */
export async function runModel(session: Session, tensors: Tensors): Promise<Tensors> {
  const { states, inputs } = splitStates(session, tensors);
  if (states === undefined) return session.run(inputs);
  await session.reset(states);
  const outputs: Record<string, Tensors[string]> = { ...(await session.run(inputs)) };
  for (const { name, output } of session.states) outputs[output] = await session.state(name);
  return outputs;
}

/** A run to be timed again and again: states that grow are put back first, so that every round is as long. */
export function roundOf(session: Session, tensors: Tensors): () => Promise<Tensors> {
  const { states, inputs } = splitStates(session, tensors);
  const grows = session.states.some(({ shape }) => shape.some((extent) => typeof extent === "string"));
  if (states === undefined || !grows) return () => session.run(inputs);
  return async () => {
    await session.reset(states);
    return session.run(inputs);
  };
}
