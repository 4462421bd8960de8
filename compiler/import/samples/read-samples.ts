/**
 * Samples from a folder or from one file of it. What the names say decides: test_data_set_N folders (ONNX), .jsonl,
 * CIFAR-10 .bin, IDX (gzipped or not), .npy, pictures. Of .npy and pictures, folders inside are read too: a folder of pictures
 * is one group; a folder of .npy files is one sample (by the input's name, or in order of names) or, when the model has one
 * input that none of them is named after, one group.
 */
import { LeafcutterError } from "../../../runtime/format/diagnostic.ts";
import type { Tensor } from "../../../runtime/format/tensor.ts";
import { formatDim } from "../../graph/dimension.ts";
import { type Folder, readDataSets } from "../data-set.ts";
import { matchPorts } from "../match-ports.ts";
import { readNpy } from "../npy.ts";
import { readCifar } from "./cifar.ts";
import { readIdxLabels, readIdxPictures } from "./idx.ts";
import { readJsonLines } from "./json-lines.ts";
import { type LabelFile, labelsOf, readLabels } from "./labels.ts";
import type { Picture, Pictures } from "./picture.ts";
import { defaultPreprocessing, type ImagePort, parsePreprocessing, preprocess } from "./preprocess.ts";
import { checkSamples, type InputSample, type SamplePort, type SampleSet } from "./sample-set.ts";
import { splitStack } from "./stack.ts";

export interface SampleSource {
  readonly folder: Folder;
  /** One file of the folder; everything in it when undefined. */
  readonly file?: string | undefined;
  /** The folder's (or file's) name in errors. */
  readonly name: string;
}

export interface SampleOptions {
  /** A preset's name or JSON, see preprocess.ts. Default: what the input itself says. */
  readonly preprocess?: string | undefined;
  /** What is right for each sample; overrides the classes of CIFAR and IDX files. */
  readonly labels?: LabelFile | undefined;
  /** What labels are: classes unless a metric of the user's own reads them. */
  readonly labelsAre?: "classes" | "anything" | undefined;
  /** The group of each sample; overrides folders. */
  readonly groups?: LabelFile | undefined;
  /** Most samples; where there are more, as many at equal distances. */
  readonly most?: number | undefined;
  readonly least?: number | undefined;
  /** Decodes pictures. */
  readonly decode?: ((bytes: Uint8Array, name: string) => Promise<Picture>) | undefined;
}

/** What there is, each sample made when it is asked for: thousands of pictures as tensors would not fit in memory. */
interface SampleList {
  readonly count: number;
  readonly sample: (index: number) => InputSample | Promise<InputSample>;
  /** The file of each, where each has one. */
  readonly names?: readonly string[];
  readonly labels?: readonly number[];
  readonly groups?: readonly (string | undefined)[];
}

/** Throws LeafcutterError: file-missing where there is nothing to read, option-invalid for what is wrong with it. */
export async function readSamples(
  source: SampleSource,
  ports: readonly SamplePort[],
  options: SampleOptions = {},
): Promise<SampleSet> {
  const inside = source.file === undefined ? [...(await source.folder.list(""))].sort() : [source.file];
  const { count, sample, names, ...known } = await listAny(source, inside, ports, options);
  const places = spread(count, options.most);
  const pick = <T>(list: readonly T[] | undefined): readonly T[] | undefined =>
    list && places.map((at) => list[at] as T);
  const kept = { total: count, places, names: pick(names) };
  const { labels: labelFile, groups: groupFile } = options;
  const labels = labelFile ? labelsOf(readLabels(labelFile), labelFile.name, kept) : pick(known.labels);
  const groups = groupFile
    ? labelsOf(readLabels(groupFile), groupFile.name, kept).map(String)
    : pick(completeGroups(known.groups, names, source.name));
  const samples: InputSample[] = [];
  for (const place of places) samples.push(await sample(place));
  const { least, labelsAre } = options;
  return checkSamples({ samples, labels, groups, names: kept.names }, ports, source.name, { least, labelsAre });
}

/** undefined where there are none. Throws option-invalid when some samples have one and others do not. */
function completeGroups(
  groups: SampleList["groups"] = [],
  names: readonly string[] | undefined,
  where: string,
): readonly string[] | undefined {
  const known = groups.filter((group) => group !== undefined);
  if (known.length === 0) return undefined;
  if (known.length === groups.length) return known;
  const within = groups.findIndex((group) => group !== undefined);
  throw new LeafcutterError({
    code: "option-invalid",
    where,
    message: "some samples are in folders, which are their groups, and some are not",
    expected: "a folder for each group, or none",
    received: `${names?.[groups.indexOf(undefined)]} beside ${names?.[within]}`,
    advice: "Move every sample into the folder of its group, or say the groups with --groups.",
  });
}

const isPicture = (name: string): boolean => /\.(png|jpe?g|webp|avif|gif|tiff?)$/i.test(name);
const isArray = (name: string): boolean => /\.npy$/i.test(name);
const listOf = (samples: readonly InputSample[]): SampleList => ({
  count: samples.length,
  sample: (index) => samples[index] as InputSample,
});

async function listAny(
  source: SampleSource,
  names: readonly string[],
  ports: readonly SamplePort[],
  options: SampleOptions,
): Promise<SampleList> {
  const { folder } = source;
  const find = (pattern: RegExp): readonly string[] => names.filter((name) => pattern.test(name));
  if (find(/^test_data_set_\d+$/).length > 0) return listSets(folder, ports);
  const [lines] = find(/\.(jsonl|ndjson)$/i);
  if (lines !== undefined) {
    const dtypeOf = (name: string) => ports.find((port) => port.name === name)?.type.dtype;
    return listOf(readJsonLines(new TextDecoder().decode(await folder.read(lines)), lines, dtypeOf));
  }
  const [idx] = find(/(idx3-ubyte|\.idx3?)(\.gz)?$/i);
  if (idx !== undefined) return listIdx(folder, idx, ports, options);
  const binaries = find(/\.bin$/i);
  if (binaries.length > 0) {
    const all: Pictures[] = [];
    for (const name of binaries) all.push(readCifar(await folder.read(name), name));
    return listPictures(joined(all), ports, options);
  }
  const arrays = names.filter(isArray);
  if (arrays.length > 0) return listArrays(folder, arrays, ports);
  return listInside(source, names, ports, options);
}

async function listSets(folder: Folder, ports: readonly SamplePort[]): Promise<SampleList> {
  const inputs = ports.map(({ name }) => name);
  const sets = await readDataSets(folder);
  const list = listOf(sets.map((set) => Object.fromEntries(matchPorts(inputs, set.inputs))));
  return { ...list, names: sets.map(({ name }) => name) };
}

async function listIdx(
  folder: Folder,
  name: string,
  ports: readonly SamplePort[],
  options: SampleOptions,
): Promise<SampleList> {
  const pictures = readIdxPictures(await unzipped(await folder.read(name), name), name);
  // Found by name only: MNIST's two files differ in these words.
  const beside = name.replace("images", "labels").replace("idx3", "idx1");
  const known = beside !== name && (await folder.list("")).includes(beside);
  const labels = known ? readIdxLabels(await unzipped(await folder.read(beside), beside), beside) : undefined;
  if (labels && labels.length !== pictures.count && options.labels === undefined)
    throw unequal(beside, `${pictures.count} labels, as ${name} has pictures`, `${labels.length}`);
  return listPictures({ ...pictures, ...(labels ? { labels } : {}) }, ports, options);
}

const unequal = (where: string, expected: string, received: string): LeafcutterError =>
  new LeafcutterError({
    code: "option-invalid",
    where,
    message: "files that belong together do not hold equally many samples",
    expected,
    received,
    advice: "Give files of the same samples in the same order.",
  });

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
async function listArrays(folder: Folder, names: readonly string[], ports: readonly SamplePort[]): Promise<SampleList> {
  const byInput = ports.map((port) => names.find((name) => name.replace(/\.npy$/i, "") === port.name));
  if (byInput.every((name) => name !== undefined)) {
    const stacks = await Promise.all(
      ports.map(async (port, i) => splitStack(readNpy(await folder.read(byInput[i] as string), byInput[i]), port)),
    );
    const count = stacks[0]?.length ?? 0;
    const other = stacks.findIndex(({ length }) => length !== count);
    if (other >= 0)
      throw unequal(byInput[other] as string, `${count}, as ${byInput[0]} has`, `${stacks[other]?.length}`);
    const sampleAt = (at: number): InputSample =>
      Object.fromEntries(ports.map(({ name }, i) => [name, stacks[i]?.[at] as Tensor]));
    return listOf(Array.from({ length: count }, (_, at) => sampleAt(at)));
  }
  return listFiles(
    folder,
    names.map((path) => ({ path, group: undefined })),
    ports,
  );
}

interface SampleFile {
  readonly path: string;
  readonly group: string | undefined;
}

/** Files of the model's one input, each a sample or several. */
async function listFiles(
  folder: Folder,
  files: readonly SampleFile[],
  ports: readonly SamplePort[],
): Promise<SampleList> {
  const [port, second] = ports;
  if (!port || second)
    throw new LeafcutterError({
      code: "option-invalid",
      where: files[0]?.path ?? "samples",
      message: "the model has several inputs, and the file does not say for which it is",
      expected: ports.map(({ name }) => `${name}.npy`).join(", "),
      received: files
        .slice(0, 3)
        .map(({ path }) => path)
        .join(", "),
      advice: "Name each file after its input, or put the files of each sample into a folder of its own.",
    });
  const samples: InputSample[] = [];
  const names: string[] = [];
  const groups: (string | undefined)[] = [];
  for (const { path, group } of files) {
    const parts = splitStack(readNpy(await folder.read(path), path), port);
    for (const part of parts) samples.push({ [port.name]: part });
    for (const _ of parts) names.push(path);
    for (const _ of parts) groups.push(group);
  }
  return { ...listOf(samples), names, groups };
}

/** Pictures, and folders: of pictures (a group each), of .npy files that are a sample together or, of one input, one each. */
async function listInside(
  source: SampleSource,
  names: readonly string[],
  ports: readonly SamplePort[],
  options: SampleOptions,
): Promise<SampleList> {
  const { folder } = source;
  const pictures: SampleFile[] = names.filter(isPicture).map((path) => ({ path, group: undefined }));
  const folders: { readonly name: string; readonly arrays: readonly string[] }[] = [];
  for (const name of source.file === undefined ? names : []) {
    const inside = [...(await folder.list(name))].sort();
    for (const file of inside.filter(isPicture)) pictures.push({ path: `${name}/${file}`, group: name });
    const arrays = inside.filter(isArray);
    if (arrays.length > 0) folders.push({ name, arrays });
  }
  if (folders.length > 0) return listFolders(folder, folders, ports);
  if (pictures.length === 0) throw noSamples(source, names);
  const { decode } = options;
  if (!decode)
    throw new LeafcutterError({
      code: "option-invalid",
      where: source.name,
      message: "pictures cannot be decoded here",
      advice: "Give the samples as .npy files.",
    });
  const toTensor = pictureReader(ports, options);
  return {
    count: pictures.length,
    sample: async (index) => {
      const { path } = pictures[index] as SampleFile;
      return toTensor(await decode(await folder.read(path), path));
    },
    names: pictures.map(({ path }) => path),
    groups: pictures.map(({ group }) => group),
  };
}

async function listFolders(
  folder: Folder,
  folders: readonly { readonly name: string; readonly arrays: readonly string[] }[],
  ports: readonly SamplePort[],
): Promise<SampleList> {
  const inputs = ports.map(({ name }) => name);
  const isNamed = folders.some(({ arrays }) => arrays.some((file) => inputs.includes(file.replace(/\.npy$/i, ""))));
  const isGroups = ports.length === 1 && !isNamed && folders.some(({ arrays }) => arrays.length > 1);
  if (isGroups) {
    const files = folders.flatMap(({ name, arrays }) =>
      arrays.map((file) => ({ path: `${name}/${file}`, group: name })),
    );
    return listFiles(folder, files, ports);
  }
  return {
    count: folders.length,
    sample: async (at) => {
      const { name, arrays } = folders[at] as (typeof folders)[number];
      const tensors = await Promise.all(
        arrays.map(async (file, index) => ({
          ...readNpy(await folder.read(`${name}/${file}`), `${name}/${file}`),
          name: file.replace(/\.npy$/i, ""),
          index,
        })),
      );
      return Object.fromEntries(
        [...matchPorts(inputs, tensors)].map(([port, { dtype, shape, data }]) => [
          port,
          { dtype, shape, data } as Tensor,
        ]),
      );
    },
    names: folders.map(({ name }) => name),
  };
}

const noSamples = ({ name }: SampleSource, names: readonly string[]): LeafcutterError =>
  new LeafcutterError({
    code: "file-missing",
    where: name,
    message: "there are no samples here",
    expected: "test_data_set_0/input_0.pb, .npy, .jsonl, pictures, CIFAR-10 .bin or IDX files",
    received: names.slice(0, 5).join(", ") || "nothing",
    advice: "Give a folder of samples (32 or more are wise), or leave it out to calibrate without data.",
  });

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

/** From a picture to the model's one input. Throws option-invalid when it takes anything else. */
function pictureReader(ports: readonly SamplePort[], options: SampleOptions): (picture: Picture) => InputSample {
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
      received: ports.map(({ name, type }) => `${name} [${type.shape.map(formatDim).join(", ")}]`).join(", "),
      advice: "Say the size with --preprocess '{\"size\":[224,224]}', or give the samples as .npy files or JSON lines.",
    });
  return (picture) => ({ [port.name]: preprocess(picture, settings, port.type.dtype) });
}

function listPictures(pictures: Pictures, ports: readonly SamplePort[], options: SampleOptions): SampleList {
  const toTensor = pictureReader(ports, options);
  const { count, labels } = pictures;
  return { count, sample: (index) => toTensor(pictures.picture(index)), ...(labels ? { labels } : {}) };
}

/** Where `most` of the `count` items stand at equal distances, or all of them. */
function spread(count: number, most = count): readonly number[] {
  const taken = Math.min(most, count);
  return Array.from({ length: taken }, (_, i) => Math.floor((i * count) / taken));
}
