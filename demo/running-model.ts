/** A package that is loaded: runs, times itself and profiles itself. */
import type { Package } from "../compiler/compile.ts";
import { programOf } from "../compiler/package/program-of.ts";
import type { Program } from "../runtime/format/program.ts";
import { type Backend, load, type Progress, type Session, type Stats, type Tensor } from "../runtime/index.ts";
import type { LayerTime } from "./layers.ts";

export type Inputs = Readonly<Record<string, Tensor>>;
export type Outputs = Readonly<Record<string, Tensor>>;

export class RunningModel {
  readonly package: Package;
  readonly program: Program;
  readonly session: Session;
  /** From the call to `load` until the model can run. */
  readonly loadMilliseconds: number;

  private constructor(compiled: Package, program: Program, session: Session, loadMilliseconds: number) {
    this.package = compiled;
    this.session = session;
    this.loadMilliseconds = loadMilliseconds;
    this.program = program;
  }

  /** Rejects with a LeafcutterError. */
  static async open(
    compiled: Package,
    backend: Backend,
    onProgress: (progress: Progress) => void,
    signal: AbortSignal,
  ): Promise<RunningModel> {
    const start = performance.now();
    const session = await load(Object.fromEntries(compiled.files), { backend, threads: 1, onProgress, signal });
    const loadMilliseconds = performance.now() - start;
    return new RunningModel(compiled, await programOf(compiled), session, loadMilliseconds);
  }

  run(inputs: Inputs): Promise<Outputs> {
    return this.session.run(inputs);
  }

  stats(): Promise<Stats> {
    return this.session.stats();
  }

  /** One run; what it took inside the worker. */
  async timedRun(inputs: Inputs): Promise<number> {
    await this.session.run(inputs);
    return (await this.session.stats()).lastRunMilliseconds ?? Number.NaN;
  }

  /** Steps of `runs` profiled runs. */
  async profile(inputs: Inputs, runs: number): Promise<readonly (readonly LayerTime[])[]> {
    const results: (readonly LayerTime[])[] = [];
    await this.session.stats({ profile: true });
    try {
      for (let i = 0; i < runs; i++) {
        await this.session.run(inputs);
        results.push((await this.session.stats()).steps ?? []);
      }
    } finally {
      await this.session.stats({ profile: false });
    }
    return results;
  }

  dispose(): void {
    this.session.dispose().catch(() => undefined);
  }
}
