/**
 * The InferenceSession of leafcutter/ort. A model is the address of a package (its folder, with or without a slash, or its
 * manifest.json), the address of an ONNX model (any other with an ending), or the bytes of one; ONNX models are compiled
 * in a worker of the page.
 */
import { type Backend, LeafcutterError, load, type PackageFiles, type PortDescription, type Session } from "./index.ts";
import { absoluteAddress } from "./load/source.ts";
import { compileInWorker } from "./ort-compile.ts";
import {
  backendsOf,
  blobOf,
  checkRunOptions,
  checkSessionOptions,
  externalFiles,
  extraOf,
  type RunOptions,
  type SessionOptions,
} from "./ort-options.ts";
import { Tensor, type TensorType, unsupported } from "./ort-tensor.ts";

export type TensorMap = Readonly<Record<string, Tensor>>;
export type FetchesType = readonly string[] | Readonly<Record<string, Tensor | null>>;

export interface TensorMetadata {
  readonly name: string;
  readonly isTensor: true;
  readonly type: TensorType;
  /** A symbolic dimension by its name. */
  readonly shape: readonly (number | string)[];
}

type Bytes = Uint8Array | ArrayBufferLike;

const modelName = "model.onnx";

function describe({ name, dtype, shape }: PortDescription): TensorMetadata {
  const extent = (value: PortDescription["shape"][number]): number | string =>
    typeof value === "object" ? `(${extent(value[1])} ${value[0]} ${extent(value[2])})` : value;
  return { name, isTensor: true, type: dtype as TensorType, shape: shape.map(extent) };
}

/** Whether an address is a package's: its last part is the manifest, or has no ending. */
function isPackage(address: string): boolean {
  const path = new URL(address, "http://page.invalid/").pathname;
  return path.endsWith("/manifest.json") || !/\.[^./]+$/.test(path);
}

async function compileModel(model: string | Bytes, options: SessionOptions, webgpu: boolean): Promise<PackageFiles> {
  const { dims = {}, maxSize, compilerUrl } = extraOf(options);
  const order = {
    dims: { ...options.freeDimensionOverrides, ...dims },
    webgpu,
    ...(maxSize === undefined ? {} : { maxSize }),
  };
  if (typeof model === "string" && options.externalData === undefined) {
    return compileInWorker({ ...order, model: { kind: "url", url: absoluteAddress(model) } }, compilerUrl);
  }
  const bytes = typeof model === "string" ? await (await fetch(model)).blob() : blobOf(model);
  const files = new Map([...(await externalFiles(options)), [modelName, bytes]]);
  return compileInWorker({ ...order, model: { kind: "files", files, path: modelName } }, compilerUrl);
}

async function open(model: string | Bytes, options: SessionOptions): Promise<Session> {
  checkSessionOptions(options);
  const wanted = backendsOf(options);
  const { workerUrl, integrity, maxMemory, cache } = extraOf(options);
  const given = Object.entries({ workerUrl, integrity, maxMemory, cache }).filter(([, value]) => value !== undefined);
  const source =
    typeof model === "string" && isPackage(model)
      ? model
      : await compileModel(model, options, wanted.includes("webgpu"));
  const attempt = async ([backend, ...rest]: readonly Backend[]): Promise<Session> => {
    try {
      return await load(source, { ...Object.fromEntries(given), backend: backend ?? "wasm" });
    } catch (error) {
      const isMissing = error instanceof LeafcutterError && error.code === "feature-missing";
      if (!isMissing || rest.length === 0) throw error;
      return attempt(rest);
    }
  };
  return attempt(wanted);
}

const isTensor = (value: unknown): value is Tensor =>
  typeof value === "object" && value !== null && "dims" in value && "type" in value;

function toInput({ type, data, dims }: Tensor): Parameters<Session["run"]>[0][string] {
  if (type === "string" || type === "uint4" || type === "int4") {
    throw unsupported(`tensors of ${type} as inputs`, type, "Compile the model for another element type.");
  }
  return { dtype: type, shape: dims, data: data as Float32Array };
}

export class InferenceSession {
  readonly inputNames: readonly string[];
  readonly outputNames: readonly string[];
  readonly inputMetadata: readonly TensorMetadata[];
  readonly outputMetadata: readonly TensorMetadata[];
  readonly #session: Session;

  private constructor(session: Session) {
    this.#session = session;
    this.inputMetadata = session.inputs.map(describe);
    this.outputMetadata = session.outputs.map(describe);
    this.inputNames = this.inputMetadata.map(({ name }) => name);
    this.outputNames = this.outputMetadata.map(({ name }) => name);
  }

  /** Rejects with a LeafcutterError: those of `load` and of the compiler, and option-invalid. */
  static create(model: string | Bytes, options?: SessionOptions): Promise<InferenceSession>;
  static create(
    buffer: ArrayBufferLike,
    byteOffset: number,
    byteLength?: number,
    options?: SessionOptions,
  ): Promise<InferenceSession>;
  static async create(
    model: string | Bytes,
    second: SessionOptions | number = {},
    byteLength?: number,
    fourth: SessionOptions = {},
  ): Promise<InferenceSession> {
    if (typeof second !== "number") return new InferenceSession(await open(model, second));
    if (typeof model === "string" || model instanceof Uint8Array) {
      throw unsupported("offset into this", typeof model, "Pass an ArrayBuffer with an offset.");
    }
    return new InferenceSession(await open(new Uint8Array(model, second, byteLength), fourth));
  }

  /** Rejects with a LeafcutterError: input-*, output-unknown as option-invalid. Concurrent runs queue in order. */
  run(feeds: TensorMap, options?: RunOptions): Promise<TensorMap>;
  run(feeds: TensorMap, fetches: FetchesType, options?: RunOptions): Promise<TensorMap>;
  async run(feeds: TensorMap, second: FetchesType | RunOptions = {}, third?: RunOptions): Promise<TensorMap> {
    const fetches = this.#fetches(second);
    checkRunOptions((fetches === undefined ? (second as RunOptions) : third) ?? {});
    const inputs = Object.fromEntries(Object.entries(feeds).map(([name, tensor]) => [name, toInput(tensor)]));
    const outputs = await this.#session.run(inputs);
    const results = [...(fetches ?? new Map(this.outputNames.map((name) => [name, null] as const)))].map(
      ([name, place]) => {
        const output = outputs[name];
        if (output === undefined) throw new LeafcutterError({ code: "internal", message: "an output is missing" });
        const type = output.dtype as TensorType;
        if (place === null) return [name, toTensor(type, output.data, output.shape)] as const;
        return [name, fill(place, toTensor(type, output.data, output.shape))] as const;
      },
    );
    return Object.fromEntries(results);
  }

  /** Frees everything. */
  release(): Promise<void> {
    return this.#session.dispose();
  }

  /** Steps are timed from now on; `endProfiling` writes them to the console, as onnxruntime-web does. */
  startProfiling(): void {
    void this.#session.stats({ profile: true });
  }

  endProfiling(): void {
    void this.#session.stats({ profile: false }).then(({ steps = [] }) => console.table(steps));
  }

  /** The outputs that are asked for, each with the tensor to fill; undefined when the argument is options. */
  #fetches(argument: FetchesType | RunOptions): ReadonlyMap<string, Tensor | null> | undefined {
    if (Array.isArray(argument)) {
      const unknown = (argument as readonly string[]).find((name) => !this.outputNames.includes(name));
      if (unknown === undefined) return new Map((argument as readonly string[]).map((name) => [name, null]));
      throw unsupported("such output", unknown, `Outputs of the model: ${this.outputNames.join(", ")}.`);
    }
    const fetches = Object.entries(argument as Readonly<Record<string, unknown>>).filter(
      (entry): entry is [string, Tensor | null] =>
        this.outputNames.includes(entry[0]) && (entry[1] === null || isTensor(entry[1])),
    );
    return fetches.length === 0 ? undefined : new Map(fetches);
  }
}

/** float16 arrives as bits. */
function toTensor(type: TensorType, data: Tensor["data"] | Float32Array, dims: readonly number[]): Tensor {
  const half = (globalThis as { readonly Float16Array?: new (buffer: ArrayBufferLike) => Uint16Array }).Float16Array;
  if (type === "float16" && half !== undefined) return new Tensor(type, new half((data as Uint16Array).buffer), dims);
  return new Tensor(type, data as Tensor["data"], dims);
}

/** Copies a result into a tensor that the caller has made for it. */
function fill(place: Tensor, result: Tensor): Tensor {
  const describeTensor = ({ type, dims }: Tensor): string => `${type} [${dims.join(", ")}]`;
  if (describeTensor(place) !== describeTensor(result)) {
    throw new LeafcutterError({
      code: "option-invalid",
      message: "the tensor for an output does not fit it",
      expected: describeTensor(result),
      received: describeTensor(place),
    });
  }
  (place.data as Float32Array).set(result.data as Float32Array);
  return place;
}
