/**
 * Files by the hash of their content in Cache Storage, so that the next load of the same content needs no network.
 * A cache that cannot be used is never an error: `status` says why. What it returns must be verified like any source.
 */
import type { Environment } from "./environment.ts";

const cacheName = "leafcutter";
const maximumNotes = 1;

/** Cache Storage wants http addresses; this one is never requested. */
const keyOf = (sha256: string): string => `https://leafcutter.invalid/sha256/${sha256}`;

export class ContentCache {
  readonly #cache: Cache | undefined;
  readonly #unavailable: string;
  readonly #writes = new Set<Promise<void>>();
  #hits = 0;
  #misses = 0;
  #failures: string[] = [];

  private constructor(cache: Cache | undefined, unavailable: string) {
    this.#cache = cache;
    this.#unavailable = unavailable;
  }

  /** @param uncached why this load does not use the cache, if it does not. */
  static async open(environment: Environment, uncached: string | undefined): Promise<ContentCache> {
    if (uncached !== undefined) return new ContentCache(undefined, uncached);
    if (environment.caches === undefined) return new ContentCache(undefined, "no Cache Storage in this context");
    try {
      return new ContentCache(await environment.caches.open(cacheName), "");
    } catch (error) {
      return new ContentCache(undefined, error instanceof Error ? error.message : String(error));
    }
  }

  /** "hit" when every file came from the cache, "miss" when one did not, else "unavailable: why". */
  get status(): string {
    if (this.#cache === undefined) return `unavailable: ${this.#unavailable}`;
    return this.#misses === 0 && this.#hits > 0 ? "hit" : "miss";
  }

  /** What went wrong with writes: no room, mostly. */
  get notes(): readonly string[] {
    return this.#failures.map((failure) => `the cache did not take a file: ${failure}`);
  }

  async read(sha256: string): Promise<Uint8Array | undefined> {
    const response = await this.#cache?.match(keyOf(sha256)).catch(() => undefined);
    if (response === undefined) {
      this.#misses += 1;
      return undefined;
    }
    this.#hits += 1;
    return new Uint8Array(await response.arrayBuffer());
  }

  /** Forgets an entry that turned out to be damaged. */
  async remove(sha256: string): Promise<void> {
    this.#hits -= 1;
    this.#misses += 1;
    await this.#cache?.delete(keyOf(sha256)).catch(() => undefined);
  }

  /** Stores a copy of verified bytes, in the background. */
  write(sha256: string, bytes: Uint8Array): void {
    if (this.#cache === undefined) return;
    const write = this.#cache.put(keyOf(sha256), new Response(bytes.slice())).catch((error: unknown) => {
      if (this.#failures.length < maximumNotes) {
        this.#failures.push(error instanceof Error ? error.message : String(error));
      }
    });
    this.#writes.add(write);
    void write.finally(() => this.#writes.delete(write));
  }

  /** Resolves when no write is under way. */
  async settled(): Promise<void> {
    await Promise.all(this.#writes);
  }
}
