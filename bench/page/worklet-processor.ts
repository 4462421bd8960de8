/** The processor of `bench worklet`: noise suppression in an AudioWorklet, from prepared models, every quantum timed. */
import { instantiate, type PreparedModel } from "../../runtime/worklet.ts";
import { NoiseSuppressor } from "./noise-suppressor.ts";

/** What the scope has, beyond the language. */
declare class AudioWorkletProcessor {
  readonly port: MessagePort;
}
declare function registerProcessor(name: string, processor: new (options: Options) => AudioWorkletProcessor): void;

interface Options {
  readonly processorOptions: ProcessorOptions;
}

export interface ProcessorOptions {
  /** The mask model, then the separation model. */
  readonly models: readonly [PreparedModel, PreparedModel];
  /** Render quanta after which the times are posted. */
  readonly quanta: number;
}

export interface ProcessorReport {
  readonly clock: "performance.now" | "Date.now";
  /** Of each quantum. */
  readonly milliseconds: Float32Array;
}

const hasPerformance = typeof performance === "object";
const now: () => number = hasPerformance ? () => performance.now() : () => Date.now();

class SuppressorProcessor extends AudioWorkletProcessor {
  readonly #suppressor: NoiseSuppressor;
  readonly #times: Float32Array;
  #done = 0;

  constructor({ processorOptions: { models, quanta } }: Options) {
    super();
    const [mask, separation] = models;
    this.#suppressor = new NoiseSuppressor(instantiate(mask), instantiate(separation));
    this.#times = new Float32Array(quanta);
  }

  process([input]: readonly (readonly Float32Array[])[], [output]: readonly (readonly Float32Array[])[]): boolean {
    const [heard, said] = [input?.[0], output?.[0]];
    if (heard === undefined || said === undefined) return true;
    const start = now();
    this.#suppressor.process(heard, said);
    this.#times[this.#done] = now() - start;
    this.#done += 1;
    if (this.#done < this.#times.length) return true;
    const report: ProcessorReport = {
      clock: hasPerformance ? "performance.now" : "Date.now",
      milliseconds: this.#times,
    };
    this.port.postMessage(report);
    return false;
  }
}

registerProcessor("noise-suppressor", SuppressorProcessor);
