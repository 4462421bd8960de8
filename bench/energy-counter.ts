/** What an energy counter is: joules that only grow, read at moments. */
import { LeafcutterError } from "../runtime/format/diagnostic.ts";

export interface Reading {
  /** Since the counter was opened. */
  readonly joules: number;
  /** The moment that the joules stand for, by performance.now(). */
  readonly milliseconds: number;
}

export interface EnergyCounters {
  /** What is counted, and by what. */
  readonly source: string;
  /** A window must be this long for the counter's steps not to matter. */
  readonly leastSeconds: number;
  /** Rejects with counters-unreadable when the counter has gone away. */
  read(): Promise<Reading>;
  close(): void;
}

/** Why one kind of counter cannot be read. */
export function unreadable(where: string, received: string, advice: string): LeafcutterError {
  return new LeafcutterError({
    code: "counters-unreadable",
    where,
    message: "the energy counters of this machine cannot be read",
    received,
    advice,
  });
}
