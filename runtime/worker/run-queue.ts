/** Runs one task at a time, in order; a task that waits or runs can be aborted, and all of them ended at once. */
import { type Diagnostic, LeafcutterError } from "../format/diagnostic.ts";

export const runAborted: Diagnostic = { code: "aborted", message: "the run was aborted" };
export const sessionDisposed: Diagnostic = { code: "disposed", message: "the session is disposed" };

export class RunQueue {
  #tail: Promise<void> = Promise.resolve();
  #ended: Diagnostic | undefined;
  readonly #endings = new Set<(reason: Diagnostic) => void>();

  /** No task is waiting or running. */
  get idle(): boolean {
    return this.#endings.size === 0;
  }

  /** Queues a task. It gets a signal that fires when the caller aborts or the queue ends; the promise rejects at once then. */
  add<T>(task: (signal: AbortSignal) => Promise<T>, signal?: AbortSignal): Promise<T> {
    if (this.#ended !== undefined) return Promise.reject(new LeafcutterError(this.#ended));
    if (signal?.aborted) return Promise.reject(new LeafcutterError(runAborted));
    return new Promise<T>((resolve, reject) => {
      const stop = new AbortController();
      const end = (reason: Diagnostic): void => {
        stop.abort();
        reject(new LeafcutterError(reason));
      };
      const abort = (): void => end(runAborted);
      this.#endings.add(end);
      signal?.addEventListener("abort", abort);
      this.#tail = this.#tail.then(async () => {
        try {
          if (!stop.signal.aborted) resolve(await task(stop.signal));
        } catch (error) {
          reject(error);
        } finally {
          this.#endings.delete(end);
          signal?.removeEventListener("abort", abort);
        }
      });
    });
  }

  /** Rejects what waits and runs with `reason`, and all that comes; resolves when nothing runs any more. */
  end(reason: Diagnostic): Promise<void> {
    this.#ended ??= reason;
    for (const end of this.#endings) end(reason);
    return this.#tail;
  }
}
