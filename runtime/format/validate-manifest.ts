/**
 * A manifest from an attacker's hands: types, file names that stay in the package's folder, sizes, hashes, tests.
 */
import {
  type FileReference,
  type Manifest,
  manifestFormat,
  type PortDescription,
  type StateDescription,
} from "./manifest.ts";
import type { Program } from "./program.ts";
import { type Symbols, UntrustedReader } from "./untrusted.ts";

export const maximumShardBytes = 4 * 1024 * 1024;
const maximumShards = 16384;
const maximumFileBytes = 256 * 1024 * 1024;
const maximumSamples = 256;
/** DEFLATE makes at most so many bytes of one. */
const mostInflation = 1032;

const reader = new UntrustedReader("package-invalid");

function file(value: unknown, where: string): FileReference {
  const { path, bytes, sha256, contentBytes } = reader.object(value, where);
  const name = reader.string(path, `${where}.path`);
  if (!/^[A-Za-z0-9_.-]+$/.test(name) || /^\.+$/.test(name)) {
    reader.fail(`${where}.path`, "a file name of letters, digits, '-', '_' and '.'", path);
  }
  const stored = reader.integer(bytes, `${where}.bytes`, 0, maximumFileBytes);
  if (contentBytes !== undefined)
    reader.integer(contentBytes, `${where}.contentBytes`, 0, Math.min(maximumFileBytes, mostInflation * stored));
  if (!/^[0-9a-f]{64}$/.test(reader.string(sha256, `${where}.sha256`))) {
    reader.fail(`${where}.sha256`, "64 hexadecimal digits", sha256);
  }
  return value as FileReference;
}

function shard(value: unknown, where: string): void {
  const { bytes, contentBytes } = file(value, where);
  reader.integer(bytes, `${where}.bytes`, 0, maximumShardBytes);
  if (contentBytes !== undefined) reader.fail(`${where}.contentBytes`, "no compressed shard", contentBytes);
}

const maximumForms = 64;

function selfTest(value: unknown, symbols: Symbols, outputs: readonly PortDescription[]): void {
  const where = "selfTest";
  const test = reader.object(value, where);
  reader.integer(test.seed, `${where}.seed`, 0, 2 ** 32 - 1);
  const bindings = reader.object(test.bindings, `${where}.bindings`);
  for (const { name, lower, upper } of symbols.values()) {
    reader.integer(bindings[name], `${where}.bindings.${name}`, lower, upper);
  }
  for (const name of ["absolute", "relative", "rootMeanSquare"] as const) {
    if (name === "rootMeanSquare" && test[name] === undefined) continue;
    if (reader.number(test[name], `${where}.${name}`) < 0) reader.fail(`${where}.${name}`, "0 or more", test[name]);
  }
  const counts = reader.list(test.outputs, `${where}.outputs`, outputs.length, (item, place) => {
    const output = reader.object(item, place);
    reader.oneOf(
      output.name,
      `${place}.name`,
      outputs.map((port) => port.name),
    );
    const indices = reader.list(output.indices, `${place}.indices`, maximumSamples, (index, at) =>
      reader.integer(index, at, 0, 2 ** 32),
    );
    const values = reader.list(output.values, `${place}.values`, maximumSamples, (number, at) =>
      reader.number(number, at),
    );
    if (indices.length !== values.length) reader.fail(place, "as many values as indices", values.length);
    return values.length;
  });
  const total = counts.reduce((sum, count) => sum + count, 0);
  if (total > maximumSamples) reader.fail(`${where}.outputs`, `at most ${maximumSamples} samples`, total);
}

function states(value: unknown, symbols: Symbols): void {
  for (const [index, port] of reader.ports(value, "states", symbols).entries()) {
    reader.string(reader.object(port, "states").output, `states[${index}].output`);
  }
}

function provenance(value: unknown): void {
  const { compiler, source, options, samples, device } = reader.object(value, "provenance");
  reader.string(compiler, "provenance.compiler");
  reader.object(options, "provenance.options");
  if (samples !== undefined) reader.string(samples, "provenance.samples");
  if (device !== undefined) {
    const profile = reader.object(device, "provenance.device");
    reader.string(profile.name, "provenance.device.name");
    reader.string(profile.sha256, "provenance.device.sha256");
  }
  const model = reader.object(source, "provenance.source");
  reader.string(model.name, "provenance.source.name");
  reader.integer(model.bytes, "provenance.source.bytes", 0, Number.MAX_SAFE_INTEGER);
  reader.string(model.sha256, "provenance.source.sha256");
}

/** Checks parsed JSON as a manifest. Throws LeafcutterError package-invalid, with the place. */
export function validateManifest(value: unknown): Manifest {
  const manifest = reader.object(value, "manifest");
  reader.oneOf(manifest.format, "format", [manifestFormat]);
  reader.string(manifest.name, "name");
  const symbols = reader.symbols(manifest.symbols, "symbols");
  reader.ports(manifest.inputs, "inputs", symbols);
  const outputs = reader.ports(manifest.outputs, "outputs", symbols);
  if (manifest.states !== undefined) states(manifest.states, symbols);
  file(manifest.program, "program");
  const variants = reader.list(manifest.modules, "modules", 16, (item, where) => {
    file(item, where);
    return reader.oneOf(reader.object(item, where).variant, `${where}.variant`, ["wasm-simd", "wasm-relaxed"]);
  });
  if (variants.length === 0 || new Set(variants).size !== variants.length) {
    reader.fail("modules", "one module or more, each of another variant", variants);
  }
  if (manifest.threads !== undefined) file(manifest.threads, "threads");
  if (manifest.shaders !== undefined) file(manifest.shaders, "shaders");
  reader.list(manifest.shards, "shards", maximumShards, shard);
  if (manifest.weights !== undefined) {
    reader.list(manifest.weights, "weights", maximumForms, (item, where) => {
      const { form, bytes } = reader.object(item, where);
      reader.string(form, `${where}.form`);
      reader.integer(bytes, `${where}.bytes`, 0, 2 ** 32);
    });
  }
  if (manifest.selfTest !== undefined) selfTest(manifest.selfTest, symbols, outputs);
  provenance(manifest.provenance);
  return value as Manifest;
}

/** The weight region may be padded to a multiple of this behind the last shard. */
const weightAlignment = 64;

/** The manifest and the program of one package say the same. Throws LeafcutterError package-invalid. */
export function checkAgreement(manifest: Manifest, program: Program): void {
  const shape = ({ name, dtype, shape, value }: PortDescription): readonly unknown[] => [name, dtype, shape, value];
  const same = (left: unknown, right: unknown): boolean => JSON.stringify(left) === JSON.stringify(right);
  for (const name of ["inputs", "outputs"] as const) {
    if (!same(manifest[name].map(shape), program[name].map(shape))) {
      reader.fail(name, "the ports of the manifest in the program", program[name].map(shape));
    }
  }
  const described = ({ name, output, dtype, shape }: StateDescription): readonly unknown[] => [
    name,
    output,
    dtype,
    shape,
  ];
  if (!same((manifest.states ?? []).map(described), (program.states ?? []).map(described))) {
    reader.fail("states", "the states of the manifest in the program", program.states ?? []);
  }
  const bounds = (symbols: Manifest["symbols"]) => symbols.map(({ name, lower, upper }) => [name, lower, upper]);
  if (!same(bounds(manifest.symbols), bounds(program.symbols))) {
    reader.fail("symbols", "the symbols of the manifest in the program", program.symbols);
  }
  const bytes = manifest.shards.reduce((sum, shard) => sum + shard.bytes, 0);
  const region = program.memory.weights.bytes;
  if (bytes > region || Math.ceil(bytes / weightAlignment) * weightAlignment < region) {
    reader.fail("shards", `${region} bytes together, as the program's weight region`, bytes);
  }
}
