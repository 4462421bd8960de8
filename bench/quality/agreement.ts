/**
 * Packages of `compile --precision int8` of real networks against the float networks on CIFAR-10 images resized by a declared preprocessing: SQNR of
 * raw outputs, agreement of the first class, both also where float is sure.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { type Quality, QualityMeter } from "../../compiler/budget/quality.ts";
import type { Sample } from "../../compiler/budget/tools.ts";
import { compile } from "../../compiler/compile.ts";
import { fileSource } from "../../compiler/file-source.ts";
import { readCifar } from "../../compiler/import/samples/cifar.ts";
import { parsePreprocessing, preprocess } from "../../compiler/import/samples/preprocess.ts";
import type { Scheme } from "../../compiler/quantize/scheme.ts";
import { load } from "../../runtime/index.ts";
import { loadModel, runAll } from "./evaluate.ts";

export interface AgreementRow {
  readonly model: string;
  readonly quality: Quality;
}

interface Subject {
  readonly model: string;
  readonly preprocess: string;
}

/** As their authors prepare pictures. */
const subjects: readonly Subject[] = [
  { model: "squeezenet_v1.1", preprocess: '{"scale":1,"mean":[104,117,123],"channels":"BGR"}' },
  { model: "mobilenetv2_float", preprocess: '{"mean":[0.485,0.456,0.406],"std":[0.229,0.224,0.225]}' },
  { model: "ultraface_rfb320", preprocess: '{"scale":1,"mean":127,"std":128}' },
  { model: "yolox_nano", preprocess: '{"scale":1,"channels":"BGR"}' },
];

const calibrationImages = 32;
const int8: Scheme = { kind: "int8", activationBits: 8, dynamic: false };

export async function measureAgreement(
  shared: string,
  { models, images }: { readonly models?: readonly string[] | undefined; readonly images: number },
  print: (line: string) => void,
): Promise<readonly AgreementRow[]> {
  const file = "cifar10-test-2500.bin";
  const pictures = readCifar(await readFile(join(shared, "data", file)), file);
  const rows: AgreementRow[] = [];
  for (const { model: name, preprocess: declared } of subjects) {
    if (models && !models.includes(name)) continue;
    const path = join(shared, "models", name, "model.onnx");
    const { graph } = await loadModel(path);
    const port = graph.inputs[0];
    if (!port) throw new Error(`${name} has no input`);
    const settings = parsePreprocessing(declared, { name: port.name, ...port.type });
    const sampleAt = (index: number): Sample => ({ [port.name]: preprocess(pictures.picture(index), settings) });
    // Calibration takes every n-th image, scoring those in between.
    const distance = Math.floor(pictures.count / calibrationImages);
    const samples = Array.from({ length: calibrationImages }, (_, i) => sampleAt(i * distance));
    const { files } = await compile(fileSource(path), { samples, precision: int8 });
    const scored = Array.from({ length: images }, (_, i) => Math.floor((i * pictures.count) / images)).map((index) =>
      index % distance === 0 ? index + 1 : index,
    );
    const at = (i: number): Sample => sampleAt(scored[i] as number);
    const expected: Sample[] = [];
    await runAll(graph, images, at, (outputs) => expected.push(outputs));
    const meter = new QualityMeter();
    const session = await load(Object.fromEntries(files), { worker: false, backend: "wasm-simd" });
    for (let i = 0; i < images; i++) meter.add(expected[i] as Sample, await session.run(at(i)));
    await session.dispose();
    const row = { model: name, quality: meter.finish() };
    rows.push(row);
    print(formatAgreementRow(row));
  }
  return rows;
}

function formatAgreementRow({ model, quality }: AgreementRow): string {
  const outputs = quality.outputs.map(({ name, sqnr, cosine, classes }) => {
    const signal = `${name}: SQNR ${sqnr.toFixed(1)} dB, cosine ${cosine.toFixed(5)}`;
    if (!classes) return signal;
    const { agreement, sureAgreement, sure, topFive, divergence } = classes;
    return `${signal}, first class agrees ${(100 * agreement).toFixed(1)} % (${(100 * sureAgreement).toFixed(1)} % of ${sure} sure ones), top 5 ${(100 * topFive).toFixed(1)} %, KL ${divergence.toFixed(4)}`;
  });
  return `  ${model.padEnd(18)} ${outputs.join("; ")}`;
}
