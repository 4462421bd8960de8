/**
 * Reads a package: the manifest first, then any of its files straight into their final place, every one verified
 * against the manifest before it counts as read. Served from the cache by content hash where that is possible.
 * Throws LeafcutterError: package-invalid, integrity-mismatch, option-invalid, and what the source throws.
 */
import { LeafcutterError } from "../format/diagnostic.ts";
import { contentOf } from "../format/inflate.ts";
import type { FileReference, Manifest } from "../format/manifest.ts";
import { validateManifest } from "../format/validate-manifest.ts";
import { ContentCache } from "./cache.ts";
import { integrityHash, StreamDigest } from "./digest.ts";
import type { Environment } from "./environment.ts";
import { type Chunks, loadAborted, once, openSource, type PackageFiles, type PackageSource } from "./source.ts";

export interface PackageOptions {
  /** "sha256-" + base64 of the manifest's SHA-256. */
  readonly integrity?: string | undefined;
  readonly cache?: boolean | undefined;
  /** The manifest's bytes, when they have been fetched already. */
  readonly manifest?: Uint8Array | undefined;
  /** Files that have been fetched already, by path; verified like any others. */
  readonly files?: Readonly<Record<string, Uint8Array>> | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Called with the number of bytes that have just arrived. */
  readonly onBytes?: ((bytes: number) => void) | undefined;
}

const maximumManifestBytes = 16 * 1024 * 1024;
const parallelShards = 4;

function mismatch(path: string, expected: string, received: string): LeafcutterError {
  return new LeafcutterError({
    code: "integrity-mismatch",
    message: "a file is not the one that the package was made with",
    where: path,
    expected,
    received,
    advice: "The download is damaged or the package was changed: upload it again, or pin the new manifest.",
  });
}

async function collect(chunks: Chunks, path: string): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of chunks) {
    bytes += chunk.byteLength;
    if (bytes > maximumManifestBytes) throw mismatch(path, `at most ${maximumManifestBytes} bytes`, "more");
    parts.push(chunk);
  }
  const whole = new Uint8Array(bytes);
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.byteLength;
  }
  return whole;
}

/** Parses JSON that an attacker may have written. */
export function parseJson(bytes: Uint8Array, path: string): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (cause) {
    const received = cause instanceof Error ? cause.message : String(cause);
    throw new LeafcutterError(
      { code: "package-invalid", message: "the file is not JSON", where: path, received },
      { cause },
    );
  }
}

export class PackageReader {
  readonly manifest: Manifest;
  readonly manifestBytes: number;
  readonly #source: PackageSource;
  readonly #cache: ContentCache;
  readonly #environment: Environment;
  readonly #options: PackageOptions;
  /** Requests that are under way before their bytes have a place to go. */
  readonly #prefetched = new Map<FileReference, Promise<Uint8Array | Chunks>>();

  constructor(
    manifest: Manifest,
    manifestBytes: number,
    source: PackageSource,
    cache: ContentCache,
    environment: Environment,
    options: PackageOptions,
  ) {
    this.manifest = manifest;
    this.manifestBytes = manifestBytes;
    this.#source = source;
    this.#cache = cache;
    this.#environment = environment;
    this.#options = options;
  }

  get cacheStatus(): string {
    return this.#cache.status;
  }

  /** What the reader of stats() should know. */
  get notes(): readonly string[] {
    const own = "crypto.subtle is missing in this context: files were verified by Leafcutter's own SHA-256";
    return [...(this.#environment.subtle === undefined ? [own] : []), ...this.#cache.notes];
  }

  /** Stores in the cache what arrived from the network; resolves when it is there. */
  settled(): Promise<void> {
    return this.#cache.settled();
  }

  /** The verified content of a file, inflated. */
  async read(reference: FileReference): Promise<Uint8Array> {
    const bytes = new Uint8Array(reference.bytes);
    await this.readInto(reference, bytes);
    return contentOf(reference, bytes);
  }

  /** Asks for the first shards now, so that they arrive while the engine is being made. */
  prefetchShards(): void {
    for (const shard of this.manifest.shards.slice(0, parallelShards)) {
      const content = this.#open(shard);
      content.catch(() => undefined);
      this.#prefetched.set(shard, content);
    }
  }

  /** Reads every shard to its place in `region`, a few at a time. */
  async readShards(region: Uint8Array): Promise<void> {
    const { shards } = this.manifest;
    const starts: number[] = [];
    let total = 0;
    for (const { bytes } of shards) {
      starts.push(total);
      total += bytes;
    }
    let next = 0;
    let failed = false;
    const work = async (): Promise<void> => {
      while (next < shards.length && !failed) {
        const index = next++;
        const [shard, start] = [shards[index], starts[index]];
        if (shard !== undefined && start !== undefined) {
          await this.readInto(shard, region.subarray(start, start + shard.bytes));
        }
      }
    };
    await Promise.all(
      Array.from({ length: parallelShards }, () =>
        work().catch((error: unknown) => {
          failed = true;
          throw error;
        }),
      ),
    );
  }

  /** Streams a file into `target`, which must have its size, and verifies it. */
  async readInto(reference: FileReference, target: Uint8Array): Promise<void> {
    if (!(target.buffer instanceof ArrayBuffer)) {
      // Hashing and caching take no shared memory.
      target.set(await this.read(reference));
      return;
    }
    const content = await (this.#prefetched.get(reference) ?? this.#open(reference));
    this.#prefetched.delete(reference);
    if (content instanceof Uint8Array) {
      target.set(content);
      this.#options.onBytes?.(content.byteLength);
      return;
    }
    const received = await this.#fill(reference, target, content);
    if (received !== reference.sha256) throw mismatch(reference.path, `SHA-256 ${reference.sha256}`, received);
    this.#cache.write(reference.sha256, target);
  }

  /** A file's verified bytes from the cache, or its unverified ones as they arrive. */
  async #open(reference: FileReference): Promise<Uint8Array | Chunks> {
    const { files = {}, signal } = this.#options;
    const early = Object.hasOwn(files, reference.path) ? files[reference.path] : undefined;
    if (early !== undefined) return once(early);
    const bytes = await this.#cache.read(reference.sha256);
    if (bytes !== undefined) {
      const digest = await StreamDigest.of(this.#environment.subtle);
      digest.update(bytes);
      if (bytes.byteLength === reference.bytes && (await digest.digest(bytes)) === reference.sha256) return bytes;
      await this.#cache.remove(reference.sha256);
    }
    return this.#source.open(reference.path, signal);
  }

  /** Returns the hash of what arrived. */
  async #fill({ path, bytes }: FileReference, target: Uint8Array, chunks: Chunks): Promise<string> {
    const { signal, onBytes } = this.#options;
    const digest = await StreamDigest.of(this.#environment.subtle);
    let offset = 0;
    try {
      for await (const chunk of chunks) {
        if (signal?.aborted) throw loadAborted();
        if (offset + chunk.byteLength > bytes) throw mismatch(path, `${bytes} bytes`, "more");
        target.set(chunk, offset);
        digest.update(chunk);
        offset += chunk.byteLength;
        onBytes?.(chunk.byteLength);
      }
    } catch (cause) {
      if (cause instanceof LeafcutterError) throw cause;
      if (signal?.aborted) throw loadAborted();
      const received = cause instanceof Error ? cause.message : String(cause);
      throw new LeafcutterError(
        { code: "network", message: "the connection broke while a file arrived", where: path, received },
        { cause },
      );
    }
    if (offset < bytes) throw mismatch(path, `${bytes} bytes`, `${offset} bytes`);
    return digest.digest(target);
  }
}

/** Reads and checks the manifest. `source` must be absolute (`absoluteSource`). */
export async function openPackage(
  location: string | PackageFiles,
  environment: Environment,
  options: PackageOptions,
): Promise<PackageReader> {
  const { integrity, signal } = options;
  const pinned = integrity === undefined ? undefined : integrityHash(integrity);
  if (integrity !== undefined && pinned === undefined) {
    throw new LeafcutterError({
      code: "option-invalid",
      message: "the option integrity is not an integrity string",
      expected: '"sha256-" and 44 characters of base64',
      received: integrity,
    });
  }
  if (signal?.aborted) throw loadAborted();
  const source = openSource(location, environment);
  const cache = await ContentCache.open(
    environment,
    options.cache === false ? "switched off by the option cache" : source.uncached,
  );
  const path = source.manifestPath;
  const fetched = async (): Promise<Uint8Array> => collect(await source.open(path, signal), path);
  const bytes =
    options.manifest ??
    (await fetched().catch((error: unknown) => {
      throw signal?.aborted ? loadAborted() : error;
    }));
  options.onBytes?.(bytes.byteLength);
  if (pinned !== undefined) {
    const digest = await StreamDigest.of(environment.subtle);
    digest.update(bytes);
    const received = await digest.digest(bytes);
    if (received !== pinned) throw mismatch(path, `SHA-256 ${pinned}`, received);
  }
  const manifest = validateManifest(parseJson(bytes, path));
  return new PackageReader(manifest, bytes.byteLength, source, cache, environment, options);
}
