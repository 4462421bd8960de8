/**
 * A device profile: what a plan costs on one device. A JSON file and an input of the compile; `leafcutter profile` measures
 * one on synthetic shapes. All figures are of one thread.
 */
import { LeafcutterError } from "../../runtime/format/diagnostic.ts";
import type { WasmVariantName } from "../../runtime/format/manifest.ts";
import type { ElementwiseWork } from "../kernels/contract.ts";
import type { CostTable, Rate } from "../kernels/cost-table.ts";
import type { EnergyCoefficients, OperationType } from "./energy.ts";

export const profileFormat = "leafcutter-device/1";

export interface DeviceProfile {
  readonly format: typeof profileFormat;
  /** Name for people: "x86-64 laptop, Chromium 156". */
  readonly name: string;
  /** Where it was measured, and how. */
  readonly host: {
    readonly cpu: string;
    /** The engine with its version: "Chromium 156", "Node 20". */
    readonly engine: string;
    /** ISO date; absent in the built-in profile. */
    readonly measured?: string;
    readonly notes?: string;
  };
  /** Speed by module; the fastest that there is counts (wasm-relaxed before wasm-simd). At least one. */
  readonly costs: Readonly<Partial<Record<WasmVariantName, CostTable>>>;
  readonly energy: EnergyCoefficients;
}

/** The table of the module that the device runs. */
export const costsOf = ({ costs }: DeviceProfile): CostTable =>
  costs["wasm-relaxed"] ?? (costs["wasm-simd"] as CostTable);

/** Throws profile-invalid naming the part. `where`: the file. */
export function parseDeviceProfile(text: string, where: string): DeviceProfile {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw invalid(where, "the file is no JSON", "a device profile", undefined);
  }
  const check = new Check(where);
  const profile = check.record(json, "profile");
  if (profile.format !== profileFormat) {
    const isTable = "rates" in profile && "stepOverhead" in profile;
    throw invalid(
      where,
      isTable ? "this is a cost table, not a device profile" : "the file is no device profile of this version",
      `format ${profileFormat}`,
      isTable ? "a file of `leafcutter bench kernels --costs`" : JSON.stringify(profile.format ?? null),
    );
  }
  check.text(profile.name, "name");
  const host = check.record(profile.host, "host");
  check.text(host.cpu, "host.cpu");
  check.text(host.engine, "host.engine");
  const costs = check.record(profile.costs, "costs");
  const variants = ["wasm-relaxed", "wasm-simd"].filter((variant) => costs[variant] !== undefined);
  if (variants.length === 0) throw invalid(where, "no module of WebAssembly was measured", "costs.wasm-simd", "none");
  for (const variant of variants) check.costTable(costs[variant], `costs.${variant}`);
  check.energy(profile.energy, "energy");
  return json as DeviceProfile;
}

const invalid = (where: string, message: string, expected: string, received: string | undefined): LeafcutterError =>
  new LeafcutterError({
    code: "profile-invalid",
    where,
    message,
    expected,
    ...(received === undefined ? {} : { received }),
    advice:
      "Measure the device with `leafcutter profile -o device.json`, or leave --device out for the built-in profile.",
  });

const elementwiseForms: readonly ElementwiseWork["form"][] = ["vector", "scalar", "copy", "transpose", "fill"];
const operationTypes: readonly OperationType[] = ["float32", "int8", "other"];

class Check {
  readonly #where: string;

  constructor(where: string) {
    this.#where = where;
  }

  #fail(path: string, expected: string, received: unknown): never {
    throw invalid(this.#where, `${path} is not as it should be`, expected, JSON.stringify(received) ?? "nothing");
  }

  record(value: unknown, path: string): Readonly<Record<string, unknown>> {
    if (typeof value !== "object" || value === null || Array.isArray(value)) this.#fail(path, "an object", value);
    return value as Readonly<Record<string, unknown>>;
  }

  text(value: unknown, path: string): void {
    if (typeof value !== "string" || value === "") this.#fail(path, "a text", value);
  }

  amount(value: unknown, path: string, least: number): void {
    if (typeof value !== "number" || !Number.isFinite(value) || value < least)
      this.#fail(path, least === 0 ? "a number, 0 or more" : "a number above 0", value);
  }

  /** Each entry an object whose `key` rises and whose `value` is no less than `least`. */
  #rising(value: unknown, path: string, key: string, amount: string, least: number): void {
    if (!Array.isArray(value) || value.length === 0) this.#fail(path, "a list", value);
    let last = 0;
    for (const [i, entry] of (value as readonly unknown[]).entries()) {
      const point = this.record(entry, `${path}[${i}]`);
      this.amount(point[key], `${path}[${i}].${key}`, Number.MIN_VALUE);
      this.amount(point[amount], `${path}[${i}].${amount}`, least);
      if ((point[key] as number) <= last) this.#fail(`${path}[${i}].${key}`, `more than ${last}`, point[key]);
      last = point[key] as number;
    }
  }

  costTable(value: unknown, path: string): void {
    const table = this.record(value, path);
    this.text(table.host, `${path}.host`);
    this.amount(table.stepOverhead, `${path}.stepOverhead`, 0);
    const rates = this.record(table.rates, `${path}.rates`);
    for (const [name, rate] of Object.entries(rates) as [string, Rate][]) {
      if (typeof rate === "number") this.amount(rate, `${path}.rates.${name}`, Number.MIN_VALUE);
      else this.#amounts(rate, `${path}.rates.${name}`);
    }
    if (table.bandwidth !== undefined)
      this.#rising(table.bandwidth, `${path}.bandwidth`, "footprint", "rate", Number.MIN_VALUE);
    if (table.run !== undefined) this.#run(table.run, `${path}.run`);
    if (table.elementwise !== undefined) this.#elementwise(table.elementwise, `${path}.elementwise`);
    if (table.epilogue !== undefined) {
      const epilogue = this.record(table.epilogue, `${path}.epilogue`);
      this.amount(epilogue.inline, `${path}.epilogue.inline`, 0);
      this.amount(epilogue.pass, `${path}.epilogue.pass`, 0);
      this.#amounts(epilogue.operations, `${path}.epilogue.operations`);
      this.#amounts(epilogue.integer, `${path}.epilogue.integer`);
    }
  }

  #run(value: unknown, path: string): void {
    const run = this.record(value, path);
    this.amount(run.fixed, `${path}.fixed`, 0);
    for (const port of ["input", "output"]) this.#rising(run[port], `${path}.${port}`, "bytes", "nanoseconds", 0);
    const slice = this.record(run.slice, `${path}.slice`);
    this.amount(slice.every, `${path}.slice.every`, Number.MIN_VALUE);
    this.amount(slice.nanoseconds, `${path}.slice.nanoseconds`, 0);
  }

  #elementwise(value: unknown, path: string): void {
    const { forms, operations } = this.record(value, path);
    const known = this.record(forms, `${path}.forms`);
    for (const form of elementwiseForms) this.#amounts(known[form], `${path}.forms.${form}`, ["point", "row"]);
    this.#amounts(operations, `${path}.operations`);
  }

  /** An object of amounts, in which `required` are not missing. */
  #amounts(value: unknown, path: string, required: readonly string[] = []): void {
    const amounts = this.record(value, path);
    for (const name of new Set([...required, ...Object.keys(amounts)]))
      this.amount(amounts[name], `${path}.${name}`, 0);
  }

  energy(value: unknown, path: string): void {
    const energy = this.record(value, path);
    if (!["A", "B", "C"].includes(energy.tier as string)) this.#fail(`${path}.tier`, "A, B or C", energy.tier);
    this.text(energy.source, `${path}.source`);
    this.amount(energy.band, `${path}.band`, 1);
    this.amount(energy.idleWatts, `${path}.idleWatts`, 0);
    this.amount(energy.launch, `${path}.launch`, 0);
    const operations = this.record(energy.operations, `${path}.operations`);
    for (const type of operationTypes) this.amount(operations[type], `${path}.operations.${type}`, 0);
    this.#rising(energy.levels, `${path}.levels`, "capacity", "perByte", 0);
  }
}
