/**
 * Where the files of a package come from: a URL, files in memory, or (in Node) a folder on disk. A source only
 * delivers bytes; nothing it says is trusted. Throws LeafcutterError: file-missing, file-refused, network, aborted.
 */
import { LeafcutterError } from "../format/diagnostic.ts";
import type { Environment } from "./environment.ts";

/** Path -> content; must hold manifest.json. */
export type PackageFiles = Readonly<Record<string, Uint8Array | Blob>>;

export type Chunks = AsyncIterable<Uint8Array>;

export interface PackageSource {
  /** Why Cache Storage does not serve this source; undefined when it may. */
  readonly uncached: string | undefined;
  readonly manifestPath: string;
  /** The content of a file as it arrives. */
  open(path: string, signal: AbortSignal | undefined): Promise<Chunks>;
}

const missing = (path: string, received: string): LeafcutterError =>
  new LeafcutterError({
    code: "file-missing",
    message: "a file of the package is missing",
    where: path,
    received,
    advice: "Upload the package again with all its files.",
  });

export const loadAborted = (): LeafcutterError =>
  new LeafcutterError({ code: "aborted", message: "loading was aborted" });

async function* read(body: ReadableStream<Uint8Array>): Chunks {
  const reader = body.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}

export async function* once(bytes: Uint8Array): Chunks {
  yield bytes;
}

/** What stands before the last slash, and what after. */
function split(location: string): readonly [folder: string, file: string] {
  const slash = Math.max(location.lastIndexOf("/"), location.lastIndexOf("\\"));
  return [location.slice(0, slash + 1), location.slice(slash + 1)];
}

/** A location that ends in .json is the manifest's, any other the package's folder. */
function manifestOf(location: string): readonly [folder: string, file: string] {
  if (location.endsWith(".json")) return split(location);
  return [/[/\\]$/.test(location) ? location : `${location}/`, "manifest.json"];
}

function remoteSource(url: URL, fetch: Environment["fetch"]): PackageSource {
  const [folder, manifestPath] = manifestOf(url.pathname);
  const failed = (path: string, received: string, cause?: unknown): LeafcutterError =>
    new LeafcutterError(
      { code: "network", message: "a file of the package could not be fetched", where: path, received },
      { cause },
    );
  return {
    uncached: undefined,
    manifestPath,
    open: async (path, signal) => {
      const address = new URL(`${folder}${path}${url.search}`, url);
      let response: Response;
      try {
        response = await fetch(address, { signal: signal ?? null });
      } catch (cause) {
        if (signal?.aborted) throw loadAborted();
        throw failed(path, cause instanceof Error ? cause.message : String(cause), cause);
      }
      if (response.status === 404 || response.status === 410) throw missing(path, `HTTP status ${response.status}`);
      if (!response.ok) throw failed(path, `HTTP status ${response.status}`);
      return response.body === null ? once(new Uint8Array(await response.arrayBuffer())) : read(response.body);
    },
  };
}

function memorySource(files: PackageFiles): PackageSource {
  return {
    uncached: "the package was given as files",
    manifestPath: "manifest.json",
    open: async (path, signal) => {
      if (signal?.aborted) throw loadAborted();
      const file = Object.hasOwn(files, path) ? files[path] : undefined;
      if (file === undefined) throw missing(path, `the files ${Object.keys(files).slice(0, 20).join(", ")}`);
      return file instanceof Uint8Array ? once(file) : read(file.stream());
    },
  };
}

const diskChunkBytes = 1 << 20;

function diskSource(location: string): PackageSource {
  const { open } = process.getBuiltinModule("node:fs/promises");
  const [folder, manifestPath] = manifestOf(location);
  async function* chunks(file: Awaited<ReturnType<typeof open>>, signal: AbortSignal | undefined): Chunks {
    try {
      for (;;) {
        if (signal?.aborted) throw loadAborted();
        const { bytesRead, buffer } = await file.read(new Uint8Array(diskChunkBytes), 0, diskChunkBytes);
        if (bytesRead === 0) return;
        yield buffer.subarray(0, bytesRead);
      }
    } finally {
      await file.close();
    }
  }
  return {
    uncached: "the package is on disk",
    manifestPath,
    open: async (path, signal) => {
      try {
        return chunks(await open(`${folder}${path}`), signal);
      } catch (cause) {
        const { code, message } = cause as NodeJS.ErrnoException;
        if (code === "ENOENT") throw missing(path, `no file at ${folder}${path}`);
        throw new LeafcutterError(
          { code: "file-refused", message: "a file of the package cannot be read", where: path, received: message },
          { cause },
        );
      }
    },
  };
}

const isNode = typeof process !== "undefined" && process.versions?.node !== undefined;

/**
 * A source that means the same in another thread: addresses made absolute. Relative ones are relative to the page, in
 * Node to the working folder.
 */
export function absoluteSource(source: string | URL | PackageFiles): string | PackageFiles {
  if (source instanceof URL) return source.href;
  return typeof source === "string" ? absoluteAddress(source) : source;
}

/** An address that means the same in a worker; in Node as it is. */
export function absoluteAddress(address: string): string {
  if (isNode) return address;
  return new URL(address, typeof document === "undefined" ? location.href : document.baseURI).href;
}

/** A file of an absolute source that is a web address, the manifest by default, unverified; undefined for other sources, and when it fails. */
export async function fetchFile(
  location: string | PackageFiles,
  signal: AbortSignal | undefined,
  path?: string,
): Promise<Uint8Array | undefined> {
  if (typeof location !== "string" || !/^https?:/i.test(location)) return undefined;
  try {
    const url = new URL(location);
    const [folder, manifest] = manifestOf(url.pathname);
    const response = await fetch(new URL(`${folder}${path ?? manifest}${url.search}`, url), { signal: signal ?? null });
    return response.ok ? new Uint8Array(await response.arrayBuffer()) : undefined;
  } catch {
    return undefined;
  }
}

/** Opens an absolute source. Throws LeafcutterError option-invalid for an address with an unknown scheme. */
export function openSource(source: string | PackageFiles, environment: Environment): PackageSource {
  if (typeof source !== "string") return memorySource(source);
  const scheme = /^([a-z][a-z0-9+.-]+):/i.exec(source)?.[1]?.toLowerCase();
  if (scheme === undefined && isNode) return diskSource(source);
  if (scheme === "file" && isNode) return diskSource(process.getBuiltinModule("node:url").fileURLToPath(source));
  try {
    return remoteSource(new URL(source), environment.fetch);
  } catch {
    // Not an address: the error below says so.
  }
  throw new LeafcutterError({
    code: "option-invalid",
    message: "the source is not an address of a package",
    expected: "a URL, a folder, or files by path",
    received: source,
  });
}
