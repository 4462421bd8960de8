/**
 * Who made a package from what: the hashes of everything that went in, and the options as given. The inverse too, so that
 * a manifest is enough to make the same package again.
 */
import { LeafcutterError } from "../runtime/format/diagnostic.ts";
import type { Manifest, Provenance } from "../runtime/format/manifest.ts";
import { Sha256 } from "../runtime/format/sha256.ts";
import type { BudgetOptions, CompileOptions } from "./compile-options.ts";
import type { ByteSource } from "./import/source.ts";
import { toHex } from "./package/package.ts";
import { parseScheme, schemeName } from "./quantize/scheme.ts";

/** Bytes of the model hashed at a time. */
const hashChunk = 4 * 1024 * 1024;

type Given = string | number | boolean;

/** Options that are what they are, under their own names. */
const plain = [
  "maxSize",
  "maxMemory",
  "maxLatency",
  "maxEnergy",
  "minQuality",
  "maxSliceDrop",
  "minMetric",
  "maxMetric",
  "objective",
  "ranges",
  "acceptPrior",
  "webgpu",
  "threads",
] as const satisfies readonly (keyof CompileOptions)[];

const limits = [
  "maxSize",
  "maxMemory",
  "maxLatency",
  "maxEnergy",
  "minQuality",
  "maxSliceDrop",
  "minMetric",
  "maxMetric",
  "objective",
  "precision",
] as const satisfies readonly (keyof BudgetOptions)[];

/** Whether the options ask for anything of the budget stage. */
export const hasBudget = (options: BudgetOptions): boolean => limits.some((name) => options[name] !== undefined);

export interface ProvenanceSettings {
  readonly compiler: string;
  readonly source: ByteSource;
  readonly options: CompileOptions;
  /** Hash of the samples that the budget used. */
  readonly samples: string | undefined;
}

export async function provenanceOf(settings: ProvenanceSettings): Promise<Provenance> {
  const { compiler, source, options, samples } = settings;
  const bytes = await source.size();
  const hash = new Sha256();
  for (let offset = 0; offset < bytes; offset += hashChunk)
    hash.update(await source.read(offset, Math.min(hashChunk, bytes - offset)));
  const { device } = options;
  return {
    compiler,
    source: { name: source.name.split("/").at(-1) ?? source.name, bytes, sha256: toHex(hash.digest()) },
    options: givenOptions(options),
    ...(samples === undefined ? {} : { samples }),
    ...(device ? { device: { name: device.name, sha256: hashOf(device) } } : {}),
  };
}

/** SHA-256 of the value as JSON, in hexadecimal digits. */
export const hashOf = (value: unknown): string =>
  toHex(new Sha256().update(new TextEncoder().encode(JSON.stringify(value))).digest());

function givenOptions(options: CompileOptions): Readonly<Record<string, Given>> {
  const given: Record<string, Given> = {};
  for (const name of plain) {
    const value = options[name];
    if (value !== undefined && value !== false) given[name] = value;
  }
  if (options.threads === false) given.threads = false;
  if (options.metric) given.metric = [options.metric.name, options.metric.identity].filter(Boolean).join(" ");
  if (options.precision) given.precision = schemeName(options.precision);
  for (const [dim, binding] of Object.entries(options.dims ?? {}))
    given[`dim ${dim}`] = typeof binding === "object" ? `${binding.lower}..${binding.upper}` : binding;
  for (const [input, output] of Object.entries(options.states ?? {})) given[`state ${input}`] = output;
  for (const [input, value] of Object.entries(options.values ?? {})) given[`value ${input}`] = value.join(",");
  return given;
}

/** The options that `provenance` was made with, but for what it only knows the hash of. */
export function optionsOf({ name, provenance }: Pick<Manifest, "name" | "provenance">): CompileOptions {
  const given = provenance.options;
  const known = Object.fromEntries(plain.flatMap((key) => (key in given ? [[key, given[key]]] : [])));
  const named = <T>(prefix: string, of: (value: Given) => T): Readonly<Record<string, T>> =>
    Object.fromEntries(
      Object.entries(given).flatMap(([key, value]) =>
        key.startsWith(`${prefix} `) ? [[key.slice(prefix.length + 1), of(value)]] : [],
      ),
    );
  const precision = typeof given.precision === "string" ? parseScheme(given.precision) : undefined;
  return {
    ...(known as CompileOptions),
    name,
    dims: named("dim", (value) => {
      const [, lower, upper] = /^(\d+)\.\.(\d+)$/.exec(String(value)) ?? [];
      if (lower !== undefined && upper !== undefined) return { lower: Number(lower), upper: Number(upper) };
      return typeof value === "number" ? value : String(value);
    }),
    states: named("state", String),
    values: named("value", (value) => (value === "" ? [] : String(value).split(",").map(Number))),
    ...(precision ? { precision } : {}),
  };
}

/** Throws lock-mismatch naming the first input of the compile that is another one than that of the locked package. */
export function checkProvenance(locked: Provenance, now: Provenance): void {
  const sorted = (options: Provenance["options"]): string => JSON.stringify(Object.entries(options).sort());
  const inputs: readonly (readonly [
    what: string,
    locked: string | undefined,
    now: string | undefined,
    advice: string,
  ])[] = [
    ["the model", locked.source.sha256, now.source.sha256, "Give the model that the package was made from."],
    [
      "the compiler",
      locked.compiler,
      now.compiler,
      "Install the version that made the package, or compile without --locked.",
    ],
    [
      "an option",
      sorted(locked.options),
      sorted(now.options),
      "Options come from the locked manifest: give none beside it.",
    ],
    ["the calibration set", locked.samples, now.samples, "Give the same samples, labels and groups with --calibrate."],
    ["the device profile", locked.device?.sha256, now.device?.sha256, "Give the same profile with --device."],
  ];
  for (const [what, expected, received, advice] of inputs)
    if (expected !== received)
      throw mismatch(`${what} is another one than that of the locked package`, expected, received, advice);
}

/** Throws lock-mismatch when the package is another one although nothing that went in is. */
export function checkSamePackage(locked: Manifest, now: Manifest): void {
  const [expected, received] = [locked, now].map(hashOf);
  if (expected !== received)
    throw mismatch("the package differs although its inputs are the same", expected, received, "Report this model.");
}

const mismatch = (
  message: string,
  expected: string | undefined,
  received: string | undefined,
  advice: string,
): LeafcutterError =>
  new LeafcutterError({
    code: "lock-mismatch",
    where: "locked compile",
    message,
    expected: expected ?? "none",
    received: received ?? "none",
    advice,
  });
