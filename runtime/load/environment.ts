/**
 * What loading needs from its host, as values, so that a host without one of them is an ordinary case.
 */
export interface Environment {
  readonly fetch: typeof globalThis.fetch;
  /** Cache Storage; undefined outside secure contexts, in some webviews and in Node. */
  readonly caches: CacheStorage | undefined;
  /** undefined outside secure contexts and in some webviews. */
  readonly subtle: SubtleCrypto | undefined;
}

/** The environment of this thread. */
export function hostEnvironment(): Environment {
  return {
    fetch: (...request) => globalThis.fetch(...request),
    caches: typeof caches === "undefined" ? undefined : caches,
    subtle: typeof crypto === "undefined" ? undefined : crypto.subtle,
  };
}
