/**
 * The entry "leafcutter/worklet": a prepared model as a session, at once. One file without imports that uses nothing but
 * the language and WebAssembly, for scopes that have nothing else (AudioWorkletGlobalScope).
 */
import type { TensorInput } from "./engine/input.ts";
import { States } from "./engine/states.ts";
import { WasmEngine } from "./engine/wasm.ts";
import { LeafcutterError } from "./format/diagnostic.ts";
import type { PortDescription, StateDescription } from "./format/manifest.ts";
import type { Tensor } from "./format/tensor.ts";
import type { LocalSession, RunOptions, Stats, SyncRunOptions } from "./worker/contract.ts";
import type { PreparedModel } from "./worker/prepared.ts";

export { LeafcutterError } from "./format/diagnostic.ts";
export type { LocalSession } from "./worker/contract.ts";
export type { PreparedModel } from "./worker/prepared.ts";

type Inputs = Readonly<Record<string, TensorInput>>;
type Outputs = Readonly<Record<string, Tensor>>;

class PreparedSession implements LocalSession {
  readonly inputs: readonly PortDescription[];
  readonly outputs: readonly PortDescription[];
  readonly states: readonly StateDescription[];
  readonly #stats: Stats;
  /** undefined once disposed, so that the memory can go. */
  #engine: WasmEngine | undefined;
  #runs = 0;

  constructor({ variant, program, module, weights, stats, ...ports }: PreparedModel) {
    this.inputs = ports.inputs;
    this.outputs = ports.outputs;
    this.states = ports.states;
    this.#stats = stats;
    this.#engine = new WasmEngine({ program, module, variant, extensions: { states: States } });
    this.#engine.writeWeights(0, weights);
  }

  get #running(): WasmEngine {
    if (this.#engine !== undefined) return this.#engine;
    throw new LeafcutterError({ code: "disposed", message: "the session is disposed" });
  }

  runSync(inputs: Inputs, options?: SyncRunOptions): Outputs {
    const { outputs } = this.#running.runSync(inputs, options);
    this.#runs += 1;
    return outputs;
  }

  async run(inputs: Inputs, { signal }: RunOptions = {}): Promise<Outputs> {
    if (signal?.aborted) throw new LeafcutterError({ code: "aborted", message: "the run was aborted" });
    return this.runSync(inputs);
  }

  resetSync(values?: Inputs): void {
    this.#running.resetSync(values);
  }

  async reset(values?: Inputs): Promise<void> {
    this.resetSync(values);
  }

  rewindSync(rows: number): void {
    this.#running.rewind(rows);
  }

  async rewind(rows: number): Promise<void> {
    this.rewindSync(rows);
  }

  async state(name: string): Promise<Tensor> {
    return this.#running.state(name);
  }

  /** Nothing is timed: there may be no clock. */
  async stats(): Promise<Stats> {
    return { ...this.#stats, runs: this.#runs };
  }

  async dispose(): Promise<void> {
    this.#engine?.dispose();
    this.#engine = undefined;
  }
}

/**
 * A session in this thread, made of what `prepare` gave; any number of them of one prepared model. Throws
 * LeafcutterError: memory-exceeded.
 */
export function instantiate(prepared: PreparedModel): LocalSession {
  return new PreparedSession(prepared);
}
