/** The same noise suppression in a dedicated Worker, by sessions that load there. */
import { expose, transfer } from "comlink";
import { load } from "../../runtime/index.ts";
import { NoiseSuppressor, shift } from "./noise-suppressor.ts";

export interface Suppressed {
  readonly samples: Float32Array;
  /** Of each shift. */
  readonly milliseconds: Float32Array;
}

export interface SuppressorWorker {
  /** @param packages addresses of the mask model and the separation model. */
  suppress(packages: readonly [string, string], samples: Float32Array): Promise<Suppressed>;
}

const worker: SuppressorWorker = {
  suppress: async ([first, second], samples) => {
    const options = { worker: false, backend: "wasm", cache: false } as const;
    const [mask, separation] = [await load(first, options), await load(second, options)];
    const suppressor = new NoiseSuppressor(mask, separation);
    const result = new Float32Array(samples.length);
    const milliseconds = new Float32Array(samples.length / shift);
    for (let index = 0; index < milliseconds.length; index++) {
      const place = [index * shift, (index + 1) * shift] as const;
      const start = performance.now();
      suppressor.process(samples.subarray(...place), result.subarray(...place));
      milliseconds[index] = performance.now() - start;
    }
    await Promise.all([mask.dispose(), separation.dispose()]);
    return transfer({ samples: result, milliseconds }, [result.buffer, milliseconds.buffer]);
  },
};
expose(worker);
