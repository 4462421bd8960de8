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

/** A run to be timed again and again: states that grow are put back afterwards, so that every round is as long. */
export function roundOf(session: Session, tensors: Tensors): () => Promise<Tensors> {
  const { states, inputs } = splitStates(session, tensors);
  const growing = session.states.filter(({ shape }) => shape.some((extent) => typeof extent === "string"));
  const [first] = growing;
  if (states === undefined || first === undefined) return () => session.run(inputs);
  const axis = first.shape.findIndex((extent) => typeof extent === "string");
  let rows: number | undefined;
  return async () => {
    if (rows === undefined || growing.length < session.states.length) await session.reset(states);
    const outputs = await session.run(inputs);
    rows ??= ((await session.state(first.name)).shape[axis] ?? 0) - (states[first.name]?.shape[axis] ?? 0);
    if (growing.length === session.states.length) await session.rewind(rows);
    return outputs;
  };
}
