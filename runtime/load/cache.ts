/**
 * Files by the hash of their content in Cache Storage, so that the next load of the same content needs no network.
 * A cache that cannot be used is never an error: `status` says why. What it returns must be verified like any source.
 */
import type { Environment } from "./environment.ts";

const cacheName = "leafcutter";
const maximumNotes = 1;

/** Cache Storage wants http addresses; this one is never requested. */
const keyOf = (sha256: string): string => `https://leafcutter.invalid/sha256/${sha256}`;

/** Whether nothing has been cached yet, as far as this context can tell. */
export async function cacheIsEmpty({ caches: storage }: Environment): Promise<boolean> {
  return storage === undefined || !(await storage.has(cacheName).catch(() => false));
}

interface Entry {
  readonly sha256: string;
  readonly bytes: Uint8Array;
}

export class ContentCache {
  readonly #storage: CacheStorage | undefined;
  /** Addresses of what is there: a first load learns with one question that nothing is. */
  readonly #present: ReadonlySet<string>;
  readonly #unavailable: string;
  readonly #waiting: Entry[] = [];
  #storing: Promise<void> = Promise.resolve();
  #opened: Promise<Cache> | undefined;
  #hits = 0;
  #misses = 0;
  #failures: string[] = [];

  private constructor(storage: CacheStorage | undefined, present: ReadonlySet<string>, unavailable: string) {
    this.#storage = storage;
    this.#present = present;
    this.#unavailable = unavailable;
  }

  /** @param uncached why this load does not use the cache, if it does not. */
  static async open(environment: Environment, uncached: string | undefined): Promise<ContentCache> {
    const { caches: storage } = environment;
    if (uncached !== undefined) return new ContentCache(undefined, new Set(), uncached);
    if (storage === undefined) return new ContentCache(undefined, new Set(), "no Cache Storage in this context");
    try {
      if (!(await storage.has(cacheName))) return new ContentCache(storage, new Set(), "");
      const requests = await (await storage.open(cacheName)).keys();
      return new ContentCache(storage, new Set(requests.map(({ url }) => url)), "");
    } catch (error) {
      return new ContentCache(undefined, new Set(), error instanceof Error ? error.message : String(error));
    }
  }

  /** "hit" when every file came from the cache, "miss" when one did not, else "unavailable: why". */
  get status(): string {
    if (this.#storage === undefined) return `unavailable: ${this.#unavailable}`;
    return this.#misses === 0 && this.#hits > 0 ? "hit" : "miss";
  }

  /** What went wrong with writes: no room, mostly. */
  get notes(): readonly string[] {
    return this.#failures.map((failure) => `the cache did not take a file: ${failure}`);
  }

  async read(sha256: string): Promise<Uint8Array | undefined> {
    const key = keyOf(sha256);
    const response = this.#present.has(key)
      ? await this.#use((cache) => cache.match(key)).catch(() => undefined)
      : undefined;
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
    await this.#use((cache) => cache.delete(keyOf(sha256))).catch(() => undefined);
  }

  /** Stores verified bytes, which must stay as they are until `settled`. Nothing is written before: it would hold up the first run. */
  write(sha256: string, bytes: Uint8Array): void {
    if (this.#storage !== undefined) this.#waiting.push({ sha256, bytes });
  }

  async #store({ sha256, bytes }: Entry): Promise<void> {
    try {
      await this.#use((cache) => cache.put(keyOf(sha256), new Response(bytes.slice())));
    } catch (error) {
      if (this.#failures.length < maximumNotes) {
        this.#failures.push(error instanceof Error ? error.message : String(error));
      }
    }
  }

  async #use<T>(work: (cache: Cache) => Promise<T>): Promise<T> {
    if (this.#storage === undefined) throw new TypeError(this.#unavailable);
    this.#opened ??= this.#storage.open(cacheName);
    return work(await this.#opened);
  }

  /** Writes what waits, one file after another; resolves when all is stored. */
  settled(): Promise<void> {
    const entries = this.#waiting.splice(0);
    this.#storing = entries.reduce((before, entry) => before.then(() => this.#store(entry)), this.#storing);
    return this.#storing;
  }
}
