/**
 * Who made a package from what: the hashes of everything that went in, and the options as given. The inverse too, so that
 * a manifest is enough to make the same package again.
 */
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
  "objective",
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
  const { device, costs } = options;
  return {
    compiler,
    source: { name: source.name.split("/").at(-1) ?? source.name, bytes, sha256: toHex(hash.digest()) },
    options: givenOptions(options),
    ...(samples === undefined ? {} : { samples }),
    ...(device ? { device: { name: device.name, sha256: hashOf(device) } } : {}),
    ...(costs ? { costs: hashOf(costs) } : {}),
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
