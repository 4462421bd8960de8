/**
 * How a page learns that a worker has ended: no event tells when a worker closes itself or the browser ends it. The
 * worker holds a Web Lock (https://www.w3.org/TR/web-locks/) as long as it lives, and the page asks for the same one:
 * it is granted when the worker is gone. Nothing is polled. Without Web Locks (an insecure context, Node) there is none.
 */

const available = (): boolean => typeof navigator === "object" && "locks" in navigator;

/** A name for a new lifeline; undefined where there are none. */
export function newLifeline(): string | undefined {
  return available() && typeof crypto.randomUUID === "function" ? `leafcutter-${crypto.randomUUID()}` : undefined;
}

/** The worker's end: resolves when the lock is held, which is then never given back; false where it cannot be. */
export function holdLifeline(name: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    if (!available()) return resolve(false);
    const held = navigator.locks.request(name, () => {
      resolve(true);
      return new Promise<never>(() => undefined);
    });
    held.catch(reject);
  });
}

/** The page's end, once the worker holds: calls `onEnd` when the worker has ended, unless `signal` fires before. */
export function watchLifeline(name: string, signal: AbortSignal, onEnd: () => void): void {
  navigator.locks.request(name, { signal }, onEnd).catch(() => undefined);
}
