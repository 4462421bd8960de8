/** What known answers need of an engine. */
export interface KernelRunner {
  readonly memory: WebAssembly.Memory;
  /** Runs iterations 0..units of kernel step `step` (an index into program.steps); default every symbol at its upper bound. */
  runStep(step: number, units: number, bindings?: ReadonlyMap<string, number>): void;
}
