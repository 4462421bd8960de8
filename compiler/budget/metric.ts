/**
 * A measure of the user's own: a function of outputs, labels and samples, on all samples at once or on one at a time (then
 * the mean). What goes wrong in it is a LeafcutterError that names the metric and, one at a time, the sample.
 */
import { LeafcutterError } from "../../runtime/format/diagnostic.ts";
import type { Sample } from "./tools.ts";

interface Described {
  readonly name: string;
  /** Such as "%" or "px"; without one a drop is told in points (hundredths), as that of an accuracy. */
  readonly unit?: string;
  /** Default true. */
  readonly higherIsBetter?: boolean;
  /** What the metric is, for provenance, such as the hash of its source. */
  readonly identity?: string;
}

/** Labels are undefined where there are none. Both kinds answer with a finite number. */
export type Metric =
  | (Described & {
      readonly perSample?: false;
      /** Outputs by name, labels and inputs by name of all samples, in their order. */
      score(
        outputs: readonly Sample[],
        labels: readonly unknown[],
        samples: readonly Sample[],
      ): number | Promise<number>;
    })
  | (Described & {
      readonly perSample: true;
      score(output: Sample, label: unknown, sample: Sample): number | Promise<number>;
    });

/** One run's worth of what a metric sees. */
export interface Scored {
  readonly output: Sample;
  readonly label: unknown;
  readonly sample: Sample;
  /** Its number among all samples. */
  readonly index: number;
}

/** Throws option-invalid. */
export async function scoreOf(metric: Metric, scored: readonly Scored[]): Promise<number> {
  if (!metric.perSample) {
    const columns = [
      scored.map(({ output }) => output),
      scored.map(({ label }) => label),
      scored.map(({ sample }) => sample),
    ] as const;
    return checked(metric, `${scored.length} samples`, () => metric.score(...columns));
  }
  let sum = 0;
  for (const { output, label, sample, index } of scored)
    sum += await checked(metric, `sample ${index}`, () => metric.score(output, label, sample));
  return sum / scored.length;
}

async function checked({ name }: Metric, where: string, score: () => unknown): Promise<number> {
  const refuse = (message: string, received: string, cause?: unknown): LeafcutterError =>
    new LeafcutterError(
      {
        code: "option-invalid",
        where: `metric ${name}, ${where}`,
        message,
        expected: "a finite number",
        received,
        advice: "Check the metric's module, and that the labels are what it reads.",
      },
      { cause },
    );
  let value: unknown;
  try {
    value = await score();
  } catch (error) {
    throw refuse(
      "the metric failed",
      error instanceof Error ? `${error.name}: ${error.message}` : String(error),
      error,
    );
  }
  if (typeof value !== "number" || !Number.isFinite(value))
    throw refuse("the metric's answer is no score", typeof value === "number" ? `${value}` : `${typeof value}`);
  return value;
}

/** How much worse `quantised` is than `reference`: in the metric's unit, or in hundredths when it has none. */
export function metricDrop({ unit, higherIsBetter = true }: Metric, reference: number, quantised: number): number {
  const drop = higherIsBetter ? reference - quantised : quantised - reference;
  return unit === undefined ? 100 * drop : drop;
}

/** The metric in a module's default export: a function of all samples, or an object. Throws option-invalid. */
export function metricFrom(exported: unknown, name: string, identity?: string): Metric {
  const refuse = (message: string, expected: string, received: string): LeafcutterError =>
    new LeafcutterError({
      code: "option-invalid",
      where: `metric ${name}`,
      message,
      expected,
      received,
      advice:
        'Write e.g. export default { name: "mean error", unit: "px", higherIsBetter: false, score(outputs, labels, samples) { … } }.',
    });
  const known = identity === undefined ? {} : { identity };
  if (typeof exported === "function")
    return {
      name: exported.name && exported.name !== "default" ? exported.name : name,
      score: exported as never,
      ...known,
    };
  if (typeof exported !== "object" || exported === null)
    throw refuse("the module has no metric", "a function or an object as default export", typeof exported);
  const given = exported as Readonly<Record<string, unknown>>;
  for (const [field, type, isNeeded] of fields) {
    const received = typeof given[field];
    if (received !== type && (isNeeded || given[field] !== undefined))
      throw refuse(`its ${field} is wrong`, `a ${type}`, received === "undefined" ? "nothing" : received);
  }
  // Bound, because a class's instance may be exported.
  const score = (...columns: unknown[]): unknown =>
    (given.score as (...all: unknown[]) => unknown).apply(exported, columns);
  return { ...pickFields(given), name: (given.name as string | undefined) ?? name, score, ...known } as Metric;
}

const fields = [
  ["score", "function", true],
  ["name", "string", false],
  ["unit", "string", false],
  ["higherIsBetter", "boolean", false],
  ["perSample", "boolean", false],
] as const;

const pickFields = (given: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> =>
  Object.fromEntries(fields.flatMap(([field]) => (given[field] === undefined ? [] : [[field, given[field]]])));
