import { resolve } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { type CompileOptions, compile, type Package, parseScheme } from "../../compiler/compile.ts";
import { fileSource } from "../../compiler/file-source.ts";
import { defaultProfile } from "../../compiler/plan/default-profile.ts";
import { optionsOf } from "../../compiler/provenance.ts";
import { LeafcutterError } from "../../runtime/format/diagnostic.ts";
import { fillRandom } from "../../runtime/format/random.ts";
import { tensorOf } from "../../runtime/format/tensor.ts";

const model = (name: string) => fileSource(resolve(import.meta.dirname, `../../demo/models/${name}/model.onnx`));
const image = (seed: number) => {
  const tensor = tensorOf("float32", [1, 1, 28, 28], []);
  fillRandom("float32", tensor.data, seed);
  return { image: tensor };
};
const options: CompileOptions = {
  maxSize: 75_000,
  minQuality: 0.99,
  samples: [image(1), image(2)],
  device: { ...defaultProfile, name: "mine" },
};
let made: Package;

beforeAll(async () => {
  made = await compile(model("digits"), options);
}, 180_000);

const { samples, device } = options;
const locked = (others: CompileOptions, name = "digits"): Promise<Package> =>
  compile(model(name), { locked: made.manifest, ...others });

test("a manifest and the same inputs make the same bytes", { timeout: 180_000 }, async () => {
  expect(made.report.totalBytes).toBeLessThanOrEqual(75_000);
  const again = await locked({ samples, device } as CompileOptions);
  expect([...again.files.keys()]).toEqual([...made.files.keys()]);
  for (const [path, bytes] of again.files)
    expect(Buffer.compare(bytes, made.files.get(path) ?? bytes.slice(1))).toBe(0);
});

test("another model, sample, profile or option is refused by name", { timeout: 180_000 }, async () => {
  const refusal = async (work: Promise<Package>): Promise<string> => {
    const error = await work.catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(LeafcutterError);
    expect((error as LeafcutterError).code).toBe("lock-mismatch");
    return (error as LeafcutterError).message;
  };
  const all = { samples, device } as CompileOptions;
  expect(await refusal(locked({ ...all, samples: [image(1), image(3)] }))).toContain("calibration set");
  expect(await refusal(locked({ samples } as CompileOptions))).toContain("device profile");
  expect(await refusal(locked({ ...all, device: { ...defaultProfile, name: "yours" } }))).toContain("device profile");
  expect(await refusal(locked({ ...all, maxSize: 80_000 }))).toContain("an option");
  const { provenance } = made.manifest;
  const older = { ...made.manifest, provenance: { ...provenance, compiler: "leafcutter 0.0.1" } };
  expect(await refusal(compile(model("digits"), { ...all, locked: older }))).toContain("the compiler");
  const other = { ...provenance, source: { ...provenance.source, sha256: "00" } };
  expect(
    await refusal(compile(model("digits"), { ...all, locked: { ...made.manifest, provenance: other } })),
  ).toContain("the model");
});

test("options come back from the provenance as they were", () => {
  const provenance = {
    ...made.manifest.provenance,
    options: {
      maxLatency: 3.5,
      objective: "energy",
      precision: "int4/64 symmetric",
      webgpu: true,
      threads: false,
      "dim batch": "1..4",
      "dim time": 16,
      "dim total": "past+1",
      "state past": "present",
      "value axes": "0,1",
    },
  };
  expect(optionsOf({ name: "it", provenance })).toEqual({
    name: "it",
    maxLatency: 3.5,
    objective: "energy",
    precision: parseScheme("int4/64 symmetric"),
    webgpu: true,
    threads: false,
    dims: { batch: { lower: 1, upper: 4 }, time: 16, total: "past+1" },
    states: { past: "present" },
    values: { axes: [0, 1] },
  });
});
