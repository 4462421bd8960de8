/** Leafcutter in the thread that opens it. */
import { type Backend, type LocalSession, load } from "../../runtime/index.ts";
import { roundOf, runModel } from "../state.ts";
import type { Tensors } from "../tensor-bundle.ts";
import type { OpenEngine } from "./engine.ts";

export interface OpenLeafcutter extends OpenEngine {
  readonly session: LocalSession;
}

export interface LeafcutterOptions {
  readonly backend: Backend;
  readonly threads: number;
}

export async function openLeafcutter(
  location: string,
  { backend, threads }: LeafcutterOptions,
  inputs: Tensors,
): Promise<OpenLeafcutter> {
  const session = await load(location, { worker: false, backend, threads, cache: false });
  const { variant } = await session.stats();
  return {
    engine: "leafcutter",
    variant,
    threads,
    session,
    run: roundOf(session, inputs),
    outputs: () => runModel(session, inputs),
    dispose: () => session.dispose(),
  };
}
