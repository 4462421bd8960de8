/** The compiler in a worker of its own: the page stays responsive, and ending the worker ends the compile. */
import { expose } from "comlink";
import { type CompileOptions, cacheStorageStore, compile, fileSetSource, type Package } from "../compiler/compile.ts";
import { type Outcome, outcomeOf } from "./outcome.ts";

export type CompileRequest = Pick<CompileOptions, "name" | "dims" | "maxSize" | "maxLatency" | "samples" | "webgpu"> & {
  /** The model and the files of external data beside it, by path. */
  readonly modelFiles: ReadonlyMap<string, Blob>;
  readonly modelPath: string;
};

export type StageProgress = (stage: string, done: number, total: number) => void;

const api = {
  compile: (
    { modelFiles, modelPath, ...options }: CompileRequest,
    onProgress: StageProgress,
  ): Promise<Outcome<Package>> =>
    outcomeOf(async () =>
      compile(fileSetSource(modelFiles, modelPath), { ...options, calibrationStore: cacheStorageStore(), onProgress }),
    ),
};

export type CompileApi = typeof api;

expose(api);
