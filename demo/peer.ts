/** onnxruntime-web as the page sees it. */
import { type Remote, wrap } from "comlink";
import { LeafcutterError, type Tensor } from "../runtime/index.ts";
import { unwrap } from "./outcome.ts";
import type { PeerApi, PeerRun } from "./peer-worker.ts";

export class Peer {
  readonly version: string;
  /** From the request to the open model: fetching and compiling the runtime, then the model. */
  readonly openMilliseconds: number;
  readonly #worker: Worker;
  readonly #remote: Remote<PeerApi>;
  readonly #failed: Promise<never>;

  private constructor(
    worker: Worker,
    remote: Remote<PeerApi>,
    failed: Promise<never>,
    version: string,
    opened: number,
  ) {
    this.#worker = worker;
    this.#remote = remote;
    this.#failed = failed;
    this.version = version;
    this.openMilliseconds = opened;
  }

  /** Starts a worker and opens the model in it. Rejects with a LeafcutterError. */
  static async open(modelFiles: ReadonlyMap<string, Blob>, modelPath: string): Promise<Peer> {
    const start = performance.now();
    const worker = new Worker(new URL("./peer-worker.ts", import.meta.url), {
      type: "module",
      name: "onnxruntime-web",
    });
    const failed = new Promise<never>((_, reject) => {
      worker.addEventListener("error", ({ message }) =>
        reject(
          new LeafcutterError({ code: "worker-failed", message: "onnxruntime-web's worker failed", received: message }),
        ),
      );
    });
    failed.catch(() => undefined);
    try {
      const remote = wrap<PeerApi>(worker);
      const model = modelFiles.get(modelPath);
      if (model === undefined) throw new Error(`${modelPath} is not among the files`);
      const folder = modelPath.slice(0, modelPath.lastIndexOf("/") + 1);
      const beside = [...modelFiles].filter(([path]) => path !== modelPath);
      const externalData = await Promise.all(
        beside.map(async ([path, blob]) => ({ path: path.slice(folder.length), data: await bytesOf(blob) })),
      );
      const version = unwrap(await Promise.race([remote.open(await bytesOf(model), externalData), failed]));
      return new Peer(worker, remote, failed, version, performance.now() - start);
    } catch (error) {
      worker.terminate();
      throw error;
    }
  }

  async run(inputs: Readonly<Record<string, Tensor>>): Promise<PeerRun> {
    return unwrap(await Promise.race([this.#remote.run(inputs), this.#failed]));
  }

  dispose(): void {
    this.#worker.terminate();
  }
}

const bytesOf = async (blob: Blob): Promise<Uint8Array> => new Uint8Array(await blob.arrayBuffer());
