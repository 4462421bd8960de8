/**
 * Samples from a folder or from one file of it. What the names say decides: test_data_set_N folders (ONNX), .jsonl,
 * CIFAR-10 .bin, IDX (gzipped or not), .npy, pictures. Of .npy and pictures, folders inside are read too: a folder of .npy
 * files is one sample (by the input's name, or in order of names), a folder of pictures is one group.
 */
import { LeafcutterError } from "../../../runtime/format/diagnostic.ts";
import type { Tensor } from "../../../runtime/format/tensor.ts";
import { type Folder, readDataSets } from "../data-set.ts";
import { matchPorts } from "../match-ports.ts";
import { readNpy } from "../npy.ts";
import { readCifar } from "./cifar.ts";
import { readIdxLabels, readIdxPictures } from "./idx.ts";
import { readJsonLines } from "./json-lines.ts";
import type { Picture, Pictures } from "./picture.ts";
import { defaultPreprocessing, type ImagePort, parsePreprocessing, preprocess } from "./preprocess.ts";
import {
  checkSamples,
  type InputSample,
  type SamplePort,
  type SampleSet,
  type UncheckedSamples,
} from "./sample-set.ts";
import { splitStack } from "./stack.ts";

export interface SampleSource {
  readonly folder: Folder;
  /** One file of the folder; everything in it when undefined. */
  readonly file?: string | undefined;
  /** The folder's (or file's) name in errors. */
  readonly name: string;
}

export interface SampleOptions {
  /** JSON, see preprocess.ts. Default: what the input itself says. */
  readonly preprocess?: string | undefined;
  /** One class a line; overrides those of CIFAR and IDX files. */
  readonly labels?: string | undefined;
  /** One group a line. */
  readonly groups?: string | undefined;
  /** Most samples; where there are more, as many at equal distances. */
  readonly most?: number | undefined;
  readonly least?: number | undefined;
  /** Decodes .png, .jpg, .jpeg and .webp files. */
  readonly decode?: ((bytes: Uint8Array, name: string) => Promise<Picture>) | undefined;
}

/** Throws LeafcutterError: file-missing where there is nothing to read, option-invalid for what is wrong with it. */
export async function readSamples(
  source: SampleSource,
  ports: readonly SamplePort[],
  options: SampleOptions = {},
): Promise<SampleSet> {
  const names = source.file === undefined ? [...(await source.folder.list(""))].sort() : [source.file];
  const read = await readAny(source, names, ports, options);
  const labels = options.labels === undefined ? read.labels : parseLabels(options.labels);
  const groups = options.groups === undefined ? read.groups : linesOf(options.groups);
  return checkSamples({ ...read, labels, groups }, ports, source.name, options.least);
}

const linesOf = (text: string): readonly string[] => text.trim().split(/\r?\n/);
const parseLabels = (text: string): readonly number[] =>
  linesOf(text).map((line) => (/^\s*\d+\s*$/.test(line) ? Number(line) : Number.NaN));

const isPicture = (name: string): boolean => /\.(png|jpe?g|webp)$/i.test(name);

async function readAny(
  source: SampleSource,
  names: readonly string[],
  ports: readonly SamplePort[],
  options: SampleOptions,
): Promise<UncheckedSamples> {
  const { folder } = source;
  const find = (pattern: RegExp): readonly string[] => names.filter((name) => pattern.test(name));
  if (find(/^test_data_set_\d+$/).length > 0) return readSets(folder, ports, options);
  const [lines] = find(/\.(jsonl|ndjson)$/i);
  if (lines !== undefined) {
    const dtypeOf = (name: string) => ports.find((port) => port.name === name)?.type.dtype;
    const text = new TextDecoder().decode(await folder.read(lines));
    return { samples: spread(readJsonLines(text, lines, dtypeOf), options.most).items };
  }
  const [idx] = find(/(idx3-ubyte|\.idx3?)(\.gz)?$/i);
  if (idx !== undefined) return readIdx(folder, idx, ports, options);
  const binaries = find(/\.bin$/i);
  if (binaries.length > 0) {
    const all: Pictures[] = [];
    for (const name of binaries) all.push(readCifar(await folder.read(name), name));
    return fromPictures(joined(all), ports, options);
  }
  const arrays = find(/\.npy$/i);
  if (arrays.length > 0) return readArrays(folder, arrays, ports, options);
  return readInside(source, names, ports, options);
}

async function readSets(
  folder: Folder,
  ports: readonly SamplePort[],
  { most }: SampleOptions,
): Promise<UncheckedSamples> {
  const inputs = ports.map(({ name }) => name);
  const { items } = spread(await readDataSets(folder), most);
  return { samples: items.map((set) => Object.fromEntries(matchPorts(inputs, set.inputs))) };
}

async function readIdx(
  folder: Folder,
  name: string,
  ports: readonly SamplePort[],
  options: SampleOptions,
): Promise<UncheckedSamples> {
  const pictures = readIdxPictures(await unzipped(await folder.read(name), name), name);
  // Found by name only: MNIST's two files differ in these words.
  const beside = name.replace("images", "labels").replace("idx3", "idx1");
  const known = beside !== name && (await folder.list("")).includes(beside);
  const labels = known ? readIdxLabels(await unzipped(await folder.read(beside), beside), beside) : undefined;
  return fromPictures({ ...pictures, ...(labels ? { labels } : {}) }, ports, options);
}

async function unzipped(bytes: Uint8Array, name: string): Promise<Uint8Array> {
  if (!name.endsWith(".gz")) return bytes;
  const stream = new Blob([bytes as Uint8Array<ArrayBuffer>]).stream().pipeThrough(new DecompressionStream("gzip"));
  try {
    return new Uint8Array(await new Response(stream).arrayBuffer());
  } catch (cause) {
    throw new LeafcutterError(
      { code: "option-invalid", where: name, message: "the file is not gzip, or ends early", expected: "a .gz file" },
      { cause },
    );
  }
}

/** One array a sample, or samples stacked along the first axis. */
async function readArrays(
  folder: Folder,
  names: readonly string[],
  ports: readonly SamplePort[],
  { most }: SampleOptions,
): Promise<UncheckedSamples> {
  const byInput = ports.map((port) => names.find((name) => name.replace(/\.npy$/i, "") === port.name));
  if (byInput.every((name) => name !== undefined)) {
    const stacks = await Promise.all(
      ports.map(async (port, i) => splitStack(readNpy(await folder.read(byInput[i] as string), byInput[i]), port)),
    );
    const count = Math.min(...stacks.map((stack) => stack.length));
    const samples = Array.from({ length: count }, (_, sample) =>
      Object.fromEntries(ports.map(({ name }, i) => [name, stacks[i]?.[sample] as Tensor])),
    );
    return { samples: spread(samples, most).items };
  }
  const [port] = ports;
  const samples: InputSample[] = [];
  for (const name of names) {
    const tensor = readNpy(await folder.read(name), name);
    for (const part of port ? splitStack(tensor, port) : []) samples.push({ [port?.name ?? ""]: part });
  }
  return { samples: spread(samples, most).items };
}

/** Pictures, and folders that hold pictures (a group each) or one .npy file an input (a sample each). */
async function readInside(
  source: SampleSource,
  names: readonly string[],
  ports: readonly SamplePort[],
  options: SampleOptions,
): Promise<UncheckedSamples> {
  const { folder } = source;
  const files: { readonly path: string; readonly group: string | undefined }[] = names
    .filter(isPicture)
    .map((path) => ({ path, group: undefined }));
  const samples: InputSample[] = [];
  for (const name of source.file === undefined ? names : []) {
    const inside = [...(await folder.list(name))].sort();
    for (const file of inside.filter(isPicture)) files.push({ path: `${name}/${file}`, group: name });
    const arrays = inside.filter((file) => /\.npy$/i.test(file));
    if (arrays.length === 0) continue;
    const tensors = await Promise.all(
      arrays.map(async (file, index) => ({
        ...readNpy(await folder.read(`${name}/${file}`), file),
        name: file.replace(/\.npy$/i, ""),
        index,
      })),
    );
    samples.push(
      Object.fromEntries(
        [
          ...matchPorts(
            ports.map((port) => port.name),
            tensors,
          ),
        ].map(([port, { dtype, shape, data }]) => [port, { dtype, shape, data } as Tensor]),
      ),
    );
  }
  if (samples.length > 0) return { samples: spread(samples, options.most).items };
  if (files.length === 0)
    throw new LeafcutterError({
      code: "file-missing",
      where: source.name,
      message: "there are no samples here",
      expected: "test_data_set_0/input_0.pb, .npy, .jsonl, pictures, CIFAR-10 .bin or IDX files",
      received: names.slice(0, 5).join(", ") || "nothing",
      advice: "Give a folder of samples, or leave it out to calibrate without data.",
    });
  const { decode } = options;
  if (!decode)
    throw new LeafcutterError({
      code: "option-invalid",
      where: source.name,
      message: "pictures cannot be decoded here",
      advice: "Give the samples as .npy files.",
    });
  const { items } = spread(files, options.most);
  const decoded: Picture[] = [];
  for (const { path } of items) decoded.push(await decode(await folder.read(path), path));
  const pictures: Pictures = { count: decoded.length, picture: (index) => decoded[index] as Picture };
  const groups = items.map(({ group }) => group ?? "");
  const read = fromPictures(pictures, ports, { ...options, most: undefined });
  return groups.some((group) => group !== "") ? { ...read, groups } : read;
}

function joined(all: readonly Pictures[]): Pictures {
  const places = all.flatMap((pictures) => Array.from({ length: pictures.count }, (_, index) => ({ pictures, index })));
  return {
    count: places.length,
    labels: all.flatMap(({ labels }) => labels ?? []),
    picture: (at) => {
      const { pictures, index } = places[at] as (typeof places)[number];
      return pictures.picture(index);
    },
  };
}

function fromPictures(pictures: Pictures, ports: readonly SamplePort[], options: SampleOptions): UncheckedSamples {
  const [port, second] = ports;
  const image: ImagePort | undefined = port && { name: port.name, ...port.type };
  const settings =
    image &&
    (options.preprocess === undefined ? defaultPreprocessing(image) : parsePreprocessing(options.preprocess, image));
  if (!port || second || !settings)
    throw new LeafcutterError({
      code: "option-invalid",
      where: "samples",
      message: "the model does not take one picture",
      expected: "one input [batch, channels, height, width] or [batch, height, width, channels] with 1 or 3 channels",
      received: ports.map(({ name }) => name).join(", "),
      advice: "Give the samples as .npy files or JSON lines.",
    });
  const { items, places } = spread(
    Array.from({ length: pictures.count }, (_, index) => index),
    options.most,
  );
  const { labels } = pictures;
  return {
    samples: items.map((index) => ({ [port.name]: preprocess(pictures.picture(index), settings, port.type.dtype) })),
    ...(labels ? { labels: places.map((index) => labels[index] ?? Number.NaN) } : {}),
  };
}

/** `most` of the items at equal distances, or all of them; and where they stood. */
function spread<T>(
  items: readonly T[],
  most: number | undefined,
): { readonly items: readonly T[]; readonly places: readonly number[] } {
  const count = Math.min(most ?? items.length, items.length);
  const places = Array.from({ length: count }, (_, i) => Math.floor((i * items.length) / count));
  return { items: places.map((place) => items[place] as T), places };
}
